import type { Attempts } from '@sallyport/authenticator';
import type { FactorMethod } from '../../../config/second-factor.ts';
import type { SecondFactorConfig } from '../../../config/types.ts';
import { createAttempts } from '../../../engine/lockout/attempts.ts';
import { createRevocationList } from '../../../engine/revocation/list.ts';
import type { SharedRedis } from '../../../engine/shared-redis/shared-redis.ts';
import { createEnrolment, createInvitation, type FactorGrant } from '../enrolment.ts';
import type { FactorUser } from '../factor-record.ts';
import { createFactorStore } from '../factor-store.ts';
import { createPasskeys } from '../passkeys.ts';
import { createFactorPolicy } from '../policy.ts';
import { createSecondFactor } from '../second-factor.ts';
import { computeCode, stepAt } from '../totp.ts';
import { createTotpEnrolment } from '../totp-enrolment.ts';

/** The wall clock of a test, in milliseconds. */
export interface Clock {
  now: number;
}

export const jane: FactorUser = {
  authenticator: 'corp',
  username: 'jane',
  uid: '7',
  name: 'corp:jane',
};
/** The directory gives no uid for this user. */
export const max: FactorUser = { authenticator: 'corp', username: 'max', name: 'corp:max' };

export const maxFailures = 5;
/** The window of the lockout guard in milliseconds. */
export const window = 600_000;

export interface FactorPartsOptions {
  readonly required?: SecondFactorConfig['required'];
  readonly methods?: readonly FactorMethod[];
  /** Whether the directory is to show a uid of each user. Default: false. */
  readonly haveUids?: boolean;
  /** Default: the lockout guard of one process. */
  readonly attempts?: (authenticator: string) => Attempts;
}

/** Makes the parts of second factors for the authenticator `corp`, as one replica has them. */
export function factorParts(
  redis: SharedRedis,
  clock: Clock,
  {
    required = 'all',
    methods = ['totp', 'passkey'],
    haveUids = false,
    ...more
  }: FactorPartsOptions = {},
) {
  const now = () => clock.now;
  const store = createFactorStore(redis, now);
  const policy = createFactorPolicy({
    authenticators: ['corp', 'other'],
    secondFactor: { required, authenticators: ['corp'] },
  });
  const { attempts = createAttempts(() => ({ maxFailures, window }), { now }) } = more;
  const enrolment = createEnrolment(store, now);
  const { sealingKeys } = redis;
  const apps = createTotpEnrolment({ enrolment, sealingKeys, issuer: 'login.example.com', now });
  const hasUids = () => haveUids;
  const secondFactor = createSecondFactor({ policy, methods, store, hasUids, attempts, now });
  const { signal } = new AbortController();
  const logger = { warn: () => undefined };
  const passkeys = createPasskeys({ publicUrl: 'https://login.example.com', store, logger, now });
  const list = Object.assign(createRevocationList(now, now), { refresh: async () => undefined });
  return {
    store,
    passkeys,
    list,
    ends: {
      revocations: list,
      blocks: {
        isUnknown: false,
        findByUser: list.findByUser,
        findByCredential: list.findByCredential,
        findByTokenDigest: list.findByTokenDigest,
      },
    },
    policy,
    enrolment,
    apps,
    secondFactor,
    invite: (user = jane, until = clock.now + 60_000) =>
      createInvitation(store, user, { by: 'root', reason: undefined, until }, clock.now),
    check: (code: string, user = jane) => secondFactor.checkCode(user, code, signal),
  };
}

export type TestedParts = ReturnType<typeof factorParts>;

/**
 * Enrols an app by an invitation, as a person does. Its codes of more than an hour before and after all differ, so that a code
 * is a code of one time.
 *
 * @param others codes that are none of its codes
 */
export async function enrolled(
  parts: TestedParts,
  clock: Clock,
  user = jane,
  others: readonly string[] = [],
) {
  const invitation = await parts.invite(user);
  const grant = parts.enrolment.grant(await parts.store.read(user), invitation);
  if (grant === undefined) throw new Error('the invitation gives no grant');
  const hasTwice = (codes: readonly string[]) => new Set(codes).size < codes.length;
  let app = beginApp(parts, user, grant);
  while (hasTwice([...others, ...nearCodes(app.secret, clock)])) app = beginApp(parts, user, grant);
  const { begun, secret } = app;
  // The code of the step before: so the present one is not used yet.
  const added = await parts.apps.finish(begun, computeCode(secret, stepAt(clock.now) - 1));
  if (added.kind !== 'added') throw new Error(`the app was not added: ${added.kind}`);
  return {
    factor: added.factor,
    invitedBy: added.invitedBy,
    recoveryCodes: added.recoveryCodes ?? [],
    secret,
    /** The code that the app shows. @param steps how many steps later */
    code: (steps = 0) => computeCode(secret, stepAt(clock.now) + steps),
    /** A code of no step near, and each time another one. */
    guess: guessesOf(secret, clock),
  };
}

/** No revocation is older than it. */
const noLogin = { since: 0, revision: 0 };

function beginApp({ apps }: TestedParts, user: FactorUser, grant: FactorGrant) {
  const begun = apps.read(apps.begin(user, grant, 'phone', noLogin).enrolment);
  if (begun === undefined) throw new Error('the sealed enrolment can not be read');
  return { begun, secret: Buffer.from(begun.secret, 'base64url') };
}

/** The codes of so many steps before and after that none of them is taken for a code of another one. */
function nearCodes(secret: Uint8Array, { now }: Clock): readonly string[] {
  return Array.from({ length: 401 }, (_, at) => computeCode(secret, stepAt(now) - 200 + at));
}

function guessesOf(secret: Uint8Array, clock: Clock): () => string {
  let next = 0;
  return () => {
    const near = nearCodes(secret, clock);
    let guess: string;
    do {
      guess = String(next).padStart(6, '0');
      next += 1;
    } while (near.includes(guess));
    return guess;
  };
}

/** A time at which tests begin. It is in the middle of a step. */
export const start = Date.parse('2030-01-01T00:00:15Z');
