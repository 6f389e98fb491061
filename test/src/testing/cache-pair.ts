import { randomToken } from '@sallyport/test-servers/tokens';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { expect } from 'vitest';
import { type CacheGateway, sealingKey, shared, startCacheReplicas } from './cache-gateway.ts';
import { noOpinion, refusal } from './chain.ts';
import { authenticated, startScriptedBackend } from './scripted-backend.ts';

export interface CachePair extends AsyncDisposable {
  readonly one: CacheGateway;
  readonly other: CacheGateway;
  /** Asks the first replica about three new tokens concurrently. Each answer must be right. */
  ask(): Promise<void>;
  /** Whether the second replica lets a new token in from Redis, after the first one has asked the backend. */
  isShared(): Promise<boolean>;
  untilShared(): Promise<boolean>;
}

/** Starts two replicas that share a Redis, in front of one backend. @param redis `cache.redis` of the config */
export async function startPair(redis: object): Promise<CachePair> {
  const backend = await startScriptedBackend();
  // No lookup is ever stopped, whatever the machine is busy with.
  const authenticators = [shared(backend, 'corp', {}, { timeout: '9s' })];
  const started = await startCacheReplicas(2, { redis, keys: [sealingKey()], authenticators });
  const [one, other] = started.replicas as [CacheGateway, CacheGateway];
  const ada = authenticated('ada', ['devs']);
  const isAda = { authenticated: true, user: { username: 'ada', groups: ['devs'] } };
  const questions = [
    [ada, isAda] as const,
    ...[refusal, noOpinion].map((answer) => [answer, { authenticated: false }] as const),
  ];

  async function ask(): Promise<void> {
    const asked = questions.map(async ([answer, status]) => {
      const token = randomToken();
      backend.answer(token, answer);
      expect(await one.ask(token)).toEqual(status);
    });
    await Promise.all(asked);
  }
  async function isShared(): Promise<boolean> {
    const token = randomToken();
    backend.answer(token, ada);
    for (const replica of [one, other]) expect(await replica.ask(token)).toEqual(isAda);
    return backend.callsOf(token).length === 1;
  }
  return {
    ...{ one, other, ask, isShared },
    // The write follows the review of the first replica. On a busy machine the second may come too early.
    untilShared: () =>
      waitFor(isShared, 'an answer of one replica to spare the other the question'),
    [Symbol.asyncDispose]: () => started[Symbol.asyncDispose](),
  };
}
