import { pino } from 'pino';
import type { AuthenticatorConfig, GatewayConfig, LoginConfig } from '../../config/types.ts';
import { createMemoryTier } from '../../engine/cache/memory-tier.ts';
import { lifetimes } from '../../engine/cache/testing/cached-replica.ts';
import { createAttempts } from '../../engine/lockout/attempts.ts';
import { createRevocationList, type Entry } from '../../engine/revocation/list.ts';
import type { ProbedRedis } from '../../engine/shared-redis/shared-redis.ts';
import { secretsOf } from '../../engine/shared-redis/testing/opened-shared-redis.ts';
import type { FactorUser } from '../../login/factors/factor-record.ts';
import { isCodeSubject } from '../../login/factors/second-factor.ts';
import type { GenerationDependencies } from '../generation.ts';
import { type Account, createLoginBackends } from './login-backends.ts';

export const publicUrl = 'https://login.example.com';
/** `login.revalidate`, and `refresh` of the directory, in milliseconds. */
export const revalidate = 300_000;

export const jane: FactorUser = {
  authenticator: 'corp',
  username: 'jane',
  uid: '7',
  name: 'corp:jane',
};

const loginConfig = {
  publicUrl,
  authenticators: ['corp'],
  providers: { okta: { authenticator: 'oidc', clientId: 'sallyport', scopes: ['openid'] } },
  browser: true,
  sessions: 'sessions',
  secondFactor: {
    required: 'none',
    methods: ['totp', 'passkey'],
    redis: { connection: { commandTimeout: 20_000 } },
  },
  ttl: 8 * 3_600_000,
  idle: 3_600_000,
  revalidate,
  maxSessions: 5,
  clusters: {},
  limits: { perAddress: { count: 1_000, per: 1_000 }, inFlight: 50 },
  trustedProxies: [],
};

export function makeConfig(
  authenticators: readonly AuthenticatorConfig[],
  changes: Partial<LoginConfig>,
): GatewayConfig {
  return {
    baseDirectory: '/etc/sallyport',
    server: { apiAudiences: [], reviewTimeout: 20_000 },
    authenticators,
    cache: { ...lifetimes, redis: { timeout: 20_000, sealingKeys: secretsOf('A') } },
    login: { ...loginConfig, ...changes },
  } as unknown as GatewayConfig;
}

/** Says that a login has come to a moment. */
export type Reach = (moment: string) => Promise<void>;

/**
 * Makes the backends of a gateway, which a test changes during a login, and what a generation is made with.
 *
 * @param reach called by all that a login waits for, after it has decided and before it answers
 */
export function createLoginWorld(redis: ProbedRedis, reach: Reach) {
  const account: Account = { groups: ['dev', 'ops'], isDisabled: false };
  const list = createRevocationList(Date.now, Date.now);
  const revocations = Object.assign(list, {
    isCutOff: false,
    isUnknown: false,
    refresh: () => reach('while it is stored'),
  });
  const createGuard = createAttempts(() => ({ maxFailures: 3, window: 600_000 }), {
    now: () => performance.now(),
  });
  const lease = { redis, files: [], release: async () => undefined };
  const dependencies: GenerationDependencies = {
    logger: pino({ level: 'silent' }),
    attempts: (name) => watchAttempts(createGuard(name), reach),
    onAbandoned: () => undefined,
    blocks: revocations,
    loginRevocations: revocations,
    caching: {
      memory: createMemoryTier(100),
      revocations,
      metrics: { lookup: () => undefined, coalesced: () => undefined },
      redisPool: { acquire: async () => lease },
    },
  };
  return {
    account,
    authenticators: createLoginBackends(account, () => reach('while the directory answers')),
    dependencies,
    publish({ action, kind, name }: Pick<Entry, 'action' | 'kind' | 'name'>): void {
      const [at, revision] = [Date.now(), list.revision + 1];
      const times = { at, until: at + 3_600_000, keptUntil: at + 3_600_000 };
      list.merge([{ id: `${revision}`, action, kind, name, revision, by: 'root', ...times }]);
    },
    /** Sends wrong passwords, as someone who guesses does. */
    async lockPasswordsOut(): Promise<void> {
      for (let count = 0; ; count += 1) {
        const attempt = await createGuard('corp').admit('jane', `wrong ${count}`);
        if (!attempt.admitted) return;
        await attempt.settle('refused');
      }
    },
  };
}

type Guard = ReturnType<ReturnType<typeof createAttempts>>;

function watchAttempts(guard: Guard, reach: Reach): Guard {
  return {
    async admit(subject, ...details) {
      const attempt = await guard.admit(subject, ...details);
      if (!attempt.admitted) return attempt;
      const { settle } = attempt;
      const moment = `while the ${isCodeSubject(subject) ? 'code' : 'password'} is checked`;
      return {
        ...attempt,
        async settle(outcome) {
          await settle(outcome);
          await reach(moment);
        },
      };
    },
  };
}
