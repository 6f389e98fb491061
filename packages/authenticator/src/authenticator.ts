import type { Decision, UserInfo } from './decision.ts';

/** What an authenticator is told of a review besides the token. */
export interface AuthenticateContext {
  /** The audiences the review asks for; empty means the API server's own. Most authenticators need not look. */
  readonly audiences: readonly string[];
  /** Aborted at the deadline, or when the caller has gone. Stop work then, and throw. */
  readonly signal: AbortSignal;
  /**
   * To be called when the backend has answered for this call and the rest depends on this one token: on a password hash
   * of very many rounds, on groups without end. A deadline that passes after that is `failed`; before that it is an
   * outage. So no one opens the circuit for all with a token that takes long.
   */
  readonly backendAnswered?: () => void;
  /**
   * Shows an operator what the backend was asked for this call and what it answered, one step a call: the search that ran
   * and how many entries it found. Only `sallyport explain` passes it, so make the text only when it is there. A step
   * names a user and never has a token or a password in it. A plugin may ignore it.
   */
  readonly trace?: (step: string) => void;
}

/**
 * Decides about bearer tokens. Every layer of the gateway (the chain, the guard, the identity policy) is one too,
 * so they stack in any order.
 */
export interface Authenticator {
  /**
   * What every token of this authenticator's begins with, if it has such a mark. For `sallyport check`, which warns when
   * the tokens of one are taken for those of another.
   */
  readonly tokenPrefix?: string;

  /**
   * Whether the token has the shape of one of this authenticator's, told without any I/O in microseconds. False is
   * no opinion: the token then neither waits for this authenticator nor fails with it. Left out: every token is asked.
   */
  recognizes?(token: string): boolean;

  /**
   * The name that the token carries beside a password, read from its text alone in microseconds, without any I/O and never
   * with a throw; the same for all spellings that the backend may take for one. Undefined for a token without a password.
   * Left out: no token of this authenticator carries one.
   *
   * The gateway bounds how often one name is looked up in a second, so that no one can take the backend from all others
   * with guesses for one name. And `sallyport block --token` refuses such a token, since the same login in another
   * spelling is another token: it names the user to block instead.
   */
  claimedName?(token: string): string | undefined;

  /**
   * Checks one token. Called many times at once; each call stands for itself.
   *
   * @param token never empty, at most `server.maxTokenSize` bytes, well-formed Unicode
   * @throws AuthenticatorError when the token could not be checked; never to refuse it
   */
  authenticate(token: string, context: AuthenticateContext): Promise<Decision>;

  /**
   * Reaches the backend and says in plain words what is wrong, by a throw. For `sallyport check` and
   * `/readyz?verbose`; it never decides readiness, since one backend that is down must not lock everybody out.
   */
  check?(signal: AbortSignal): Promise<void>;

  /**
   * The users that it names without asking a backend. `sallyport check` holds each of them to the identity policy, so that a
   * token that the policy refuses is found before it is needed.
   */
  knownUsers?(): Iterable<UserInfo>;

  /**
   * Who a user is, with their groups, without a password. For `sallyport explain --user`. Left out: users can't be looked
   * up without their token.
   *
   * @param username as a login would write it, without the prefix of gateway.yaml
   * @returns undefined when the backend has no such user
   * @throws AuthenticatorError when it could not be checked
   */
  lookUp?(username: string, context: Pick<AuthenticateContext, 'signal' | 'trace'>): Promise<UserInfo | undefined>;

  /** Ends connections and timers. Called once no `authenticate` is under way; a second call does nothing. */
  close(): Promise<void>;
}
