import type { BlockList } from 'node:net';
import type {
  Credential,
  Logger,
  NoOpinion,
  Rejected,
  TokenIssuer,
  UserInfo,
} from '@sallyport/authenticator';
import type { AuthenticatorConfig, LoginConfig } from '../config/types.ts';
import type { Link, LinkContext } from '../engine/chain/chain.ts';
import type { Session, SessionTexts } from '../engine/sessions/session-text.ts';
import type { SessionUsers } from '../engine/sessions/session-user.ts';
import type { AttemptTexts } from './attempts/attempt.ts';
import type { PendingLogins } from './attempts/pending-logins.ts';
import type { EndLogins, LoginEnds } from './ended-login.ts';
import type { Enrolment } from './factors/enrolment.ts';
import type { Passkeys } from './factors/passkeys.ts';
import type { FactorPolicy } from './factors/policy.ts';
import type { SecondFactor } from './factors/second-factor.ts';
import type { TotpEnrolment } from './factors/totp-enrolment.ts';
import type { Brand } from './pages/document.ts';
import type { OpenIdClient } from './providers/openid-client.ts';

/** A user whose password was right or whose ID token was accepted. */
export interface LoggedInUser {
  readonly kind: 'logged-in';
  /** As the backend names them. */
  readonly backendUser: UserInfo;
  /** As Kubernetes sees them. */
  readonly user: UserInfo;
  /** Ids of the ID token. */
  readonly credential?: Credential | undefined;
}

/** An authenticator of `login.authenticators`, as a login uses it. */
export interface LoginLink extends Pick<AuthenticatorConfig, 'name' | 'onError' | 'username'> {
  /** Returns whether its plugin lists users, and each with a uid: then a user without one is a user whose uid can't be read. */
  readonly hasUids: () => boolean;
  /**
   * Checks a password as the chain would, but past the cache: the backend must see it. So the lockout guard, the identity
   * policy and blocks hold for it. @throws AuthenticatorError when it could not be checked
   */
  logIn(
    username: string,
    password: string,
    context: LinkContext,
  ): Promise<LoggedInUser | Rejected | NoOpinion>;
}

/** A provider of `login.providers`, as a login uses it. */
export interface LoginProvider {
  readonly name: string;
  readonly title: string;
  /** The authenticator that checks its ID tokens. */
  readonly authenticator: string;
  readonly issuer: string;
  readonly clientId: string;
  /** Milliseconds that a session lasts at most. */
  readonly ttl: number;
  readonly client: OpenIdClient;
  /**
   * Checks an ID token as the chain would, but for any audience of its issuer, and past the cache. So identity policy,
   * directory and blocks hold for it. @throws AuthenticatorError when it could not be checked
   */
  logIn(idToken: string, context: LinkContext): Promise<LoggedInUser | Rejected | NoOpinion>;
  /** Answers about the users of its sessions. */
  readonly users: SessionUsers;
}

/** What the login server needs for logins in a browser. */
export interface BrowserLogins {
  readonly attempts: AttemptTexts;
  readonly pending: PendingLogins;
  readonly providers: ReadonlyMap<string, LoginProvider>;
}

/** What the login server needs for second factors. */
export interface FactorParts {
  readonly secondFactor: SecondFactor;
  readonly enrolment: Enrolment;
  readonly apps: TotpEnrolment;
  readonly passkeys: Passkeys;
}

/** The parts of the login server that depend on the config. Each config makes them again. */
export interface LoginService extends LoginEnds {
  readonly config: LoginConfig;
  /** The networks of `login.trustedProxies`. */
  readonly proxies: BlockList;
  /** The milliseconds for one request: `server.reviewTimeout`. */
  readonly timeout: number;
  /** The authenticators of `login.authenticators`, in the order in which they are asked. */
  readonly passwordLinks: readonly LoginLink[];
  /** The authenticator of `login.sessions` in the chain. */
  readonly sessions: Link;
  readonly issuer: TokenIssuer;
  readonly texts: SessionTexts;
  /** Finds what answers for a user after their login. Undefined: their authenticator or provider was removed from `login`. */
  readonly findSessionUsers: (
    session: Pick<Session, 'authenticator' | 'provider'>,
  ) => SessionUsers | undefined;
  readonly factorPolicy: FactorPolicy;
  /** Undefined: the config has no `login.secondFactor`. */
  readonly factors: FactorParts | undefined;
  /** Undefined: people log in at a terminal alone. */
  readonly browser: BrowserLogins | undefined;
  /** Ends the logins in progress of a user on all replicas. Undefined: the replicas share no list. */
  readonly endLogins: EndLogins | undefined;
  /** The name and logo of the pages: the file of the logo may change. */
  readonly brand: () => Brand;
  /** Writes a kubeconfig. @returns undefined for an unknown cluster */
  readonly kubeconfig: (cluster: string) => string | undefined;
  /** Says why the issuer failed, for the log and without its secrets. */
  readonly describeProblem: (error: unknown) => string;
  /** Keeps all of this open for a request in progress. */
  readonly hold: (work: Promise<unknown>) => void;
  readonly logger: Logger;
}

export type ProviderProof = Pick<Session, 'authenticator' | 'provider'>;

/** Finds the provider at which someone logged in. Another provider may have its name now. */
export function findProvider(
  providers: Iterable<LoginProvider>,
  { authenticator, provider }: ProviderProof,
): LoginProvider | undefined {
  return [...providers].find(
    (candidate) =>
      candidate.name === provider?.name &&
      candidate.authenticator === authenticator &&
      candidate.issuer === provider.issuer &&
      candidate.clientId === provider.clientId,
  );
}
