import type { Decision, TokenRequest, UserInfo } from '@sallyport/authenticator';
import { noBlocks, noRevocations } from '../engine/revocation/testing/no-blocks.ts';
import { createSessionTexts } from '../engine/sessions/session-text.ts';
import type { LoginEnds } from '../login/ended-login.ts';
import { enrolApp } from '../login/enrol-app.ts';
import { type Clock, jane, type TestedParts } from '../login/factors/testing/factor-parts.ts';
import { LoginError } from '../login/login-error.ts';
import type { LoginRequest } from '../login/login-request.ts';
import type { FactorParts, LoginService } from '../login/login-service.ts';
import { createRateLimit } from '../login/rate-limit.ts';
import { logInAtTerminal } from '../login/terminal-login.ts';

const password = 'hunter2hunter2';

interface FactorLoginOptions {
  /** The groups of the user, as Kubernetes sees them. */
  readonly groups?: readonly string[];
  /** Undefined: the config has no second factors. */
  readonly factors: FactorParts | undefined;
  readonly policy: TestedParts['policy'];
  /** What has ended logins. Default: nothing. */
  readonly ends?: LoginEnds;
  /** What the directory says of the user after the password. Default: they are as before. Undefined: it was removed from `login`. */
  readonly today?: (() => Decision) | undefined;
  /** `config.secondFactor`. Default: there is one if there are factors. */
  readonly hasSection?: boolean;
  /** The most logins of a user in an hour. */
  readonly logins?: number;
}

/** An answer of the login server, and the facts about the request afterwards. */
export interface Answered {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
  /** Whether the address has one guess less. */
  readonly isGuess: boolean;
  readonly facts: LoginRequest['facts'];
}

/** Makes the login server of one config, whose directory knows jane. It is called by its functions. */
export function factorLogin({ groups = [], factors, policy, ...more }: FactorLoginOptions) {
  const { hasSection = factors !== undefined, logins: count = 1_000 } = more;
  const { ends = { blocks: noBlocks, revocations: noRevocations } } = more;
  const user: UserInfo = { username: jane.name, groups };
  const { today } = { today: (): Decision => ({ kind: 'authenticated', user }), ...more };
  const issued: TokenRequest[] = [];
  const lines: string[] = [];
  const service = {
    config: {
      ttl: 3_600_000,
      idle: 60_000,
      maxSessions: 5,
      clusters: {},
      ...(hasSection && { secondFactor: {} }),
    },
    passwordLinks: [
      {
        name: 'corp',
        onError: 'stop',
        logIn: async (username: string, typedPassword: string) => {
          if (username !== jane.username) return { kind: 'no-opinion' };
          return typedPassword === password
            ? { kind: 'logged-in', backendUser: { username, uid: jane.uid }, user }
            : { kind: 'rejected', reason: 'invalid-credentials', subject: username };
        },
      },
    ],
    texts: createSessionTexts([]),
    issuer: {
      async create(given: TokenRequest) {
        issued.push(given);
        const session = given.session?.describe('0'.repeat(64));
        return { token: 'token', issued: { ...given, digest: '0'.repeat(64), session } };
      },
      async *list() {},
    },
    logger: {
      warn: (fields: object, message: string) => lines.push(JSON.stringify([fields, message])),
    },
    problemOf: String,
    timeout: 60_000,
    factorPolicy: policy,
    factors,
    findSessionUsers: () => today,
    ...ends,
  } as unknown as LoginService;
  const logins = createRateLimit(
    () => ({ count, per: 3_600_000 }),
    () => 0,
  );
  const limits = { logins };
  const { signal } = new AbortController();

  async function call(
    work: (request: LoginRequest) => Promise<void>,
    action: LoginRequest['facts']['action'],
    address = '192.0.2.1',
  ): Promise<Answered> {
    const context = { status: 200, body: {} };
    const facts: LoginRequest['facts'] = { action };
    try {
      await work({ context, service, address, signal, facts, limits } as never);
      return { status: context.status, body: context.body, isGuess: false, facts };
    } catch (error) {
      if (!(error instanceof LoginError)) throw error;
      const { status, code, message, details, isGuess } = error;
      return { status, body: { code, message, ...details }, isGuess, facts };
    }
  }
  const credentials = { username: jane.username, password };
  return {
    issued,
    lines,
    logIn: (body: object = {}, address?: string) =>
      call((request) => logInAtTerminal(request, { ...credentials, ...body }), 'login', address),
    /** Begins to add an app. */
    begin: (body: object = {}) =>
      call((request) => enrolApp(request, { ...credentials, ...body }), 'begin-factor'),
    /** Sends the first code of an app. */
    finish: (body: object) => call((request) => enrolApp(request, body), 'begin-factor'),
  };
}

/** The login server with these parts. */
export const loginWith = (
  parts: TestedParts,
  more: Partial<Omit<FactorLoginOptions, 'factors'>> = {},
) => factorLogin({ factors: parts, policy: parts.policy, ends: parts.ends, ...more });

/** Makes a clock that stands still at the present time, since sessions begin at the time of the machine. */
export const clockOfToday = (): Clock => ({ now: Date.now() });
