import type { LoginConfig } from '../../config/types.ts';
import type { ProbedRedis } from '../../engine/shared-redis/shared-redis.ts';
import { createInFlightCounter } from '../../http/limits.ts';
import { createInvitation } from '../../login/factors/enrolment.ts';
import { listedFactors } from '../../login/factors/factor-record.ts';
import type { LoginRequest } from '../../login/login-request.ts';
import type { FactorParts, LoginProvider, LoginService } from '../../login/login-service.ts';
import { createRateLimit } from '../../login/rate-limit.ts';
import { createGeneration } from '../generation.ts';
import { idToken } from './login-backends.ts';
import { createLoginWorld, jane, makeConfig } from './login-world.ts';

/** Something that happens at a moment of a login. */
interface MomentEvent {
  readonly moment: string;
  readonly happen: (place: LoginPlace) => unknown;
}

export type LoginPlace = Awaited<ReturnType<typeof createLoginPlace>>;

/**
 * Makes a gateway with a login server in this process, of real parts. Only its backends are scripted: the directory, the provider, the
 * store of sessions, and the revocation list, which the test writes.
 */
export async function createLoginPlace(redis: ProbedRedis, event: MomentEvent) {
  let hasHappened = false;
  async function reach(moment: string): Promise<void> {
    if (hasHappened || moment !== event.moment) return;
    hasHappened = true;
    await event.happen(place);
  }
  const world = createLoginWorld(redis, reach);
  const create = (changes: Partial<LoginConfig>) =>
    createGeneration(makeConfig(world.authenticators, changes), world.dependencies);
  let generation = await create({});
  let facts: LoginRequest['facts'] = { action: 'none' };
  const { signal } = new AbortController();
  const limits = unlimited();
  const place = {
    ...world,
    reach,
    hasHappened: () => hasHappened,
    /** Returns the facts about the last request. */
    facts: () => facts,
    /** Returns the login server of the config in force. */
    service(): LoginService {
      const { login } = generation;
      if (login?.browser === undefined) throw new Error('there is no login server');
      const providers = new Map([...login.browser.providers].map(withScriptedClient));
      return { ...login, browser: { ...login.browser, providers } };
    },
    factors(): FactorParts {
      const { factors } = place.service();
      if (factors === undefined) throw new Error('there are no second factors');
      return factors;
    },
    async reload(changes: Partial<LoginConfig>): Promise<void> {
      generation = await create(changes);
    },
    invite: () =>
      createInvitation(
        place.factors().secondFactor.store,
        jane,
        { by: 'root', reason: undefined, until: Date.now() + 60_000 },
        Date.now(),
      ),
    /** Lists the names of the factors that jane has. */
    async listFactors(): Promise<readonly string[]> {
      const record = await place.factors().secondFactor.store.read(jane);
      return record === undefined ? [] : listedFactors(record).map(({ name }) => name);
    },
    async listSessions(): Promise<readonly string[]> {
      const digests: string[] = [];
      for await (const { digest } of place.service().issuer.list({}, signal)) digests.push(digest);
      return digests;
    },
    /** Sends wrong codes, as someone who has the password does. */
    async lockCodesOut(): Promise<void> {
      const { secondFactor } = place.factors();
      for (let count = 0; ; count += 1) {
        const result = await secondFactor.checkCode(jane, `wrong ${count}`, signal);
        if (result.kind === 'wrong' && result.reason === 'throttled') return;
      }
    },
    /** Answers a review as the gateway does. */
    review: async (token: string) => generation.authenticate(token, { audiences: [], signal }),
    request(context: object, form: object = {}): LoginRequest {
      facts = { action: 'none' };
      return {
        context: context as LoginRequest['context'],
        service: place.service(),
        address: '192.0.2.1',
        signal,
        facts,
        limits,
        readForm: async () => new URLSearchParams({ ...form }),
      };
    },
  };
  return place;
}

/** Makes the provider send everyone back with the same ID token. */
function withScriptedClient([name, provider]: readonly [string, LoginProvider]) {
  const client: LoginProvider['client'] = {
    begin: async (id) => ({
      url: 'https://idp.example.com/authorize',
      flow: { state: `${id}.state`, nonce: 'nonce', verifier: 'verifier' },
    }),
    finish: async () => ({ idToken }),
  };
  return [name, { ...provider, client }] as const;
}

function unlimited(): LoginRequest['limits'] {
  const limit = () =>
    createRateLimit(
      () => ({ count: 1_000, per: 1_000 }),
      () => 0,
    );
  return { inFlight: createInFlightCounter(), passwords: limit(), logins: limit(), pages: limit() };
}
