import { describe, expect, test } from 'vitest';
import { createSingleFlight } from './single-flight.ts';
import { never } from './testing/cached-replica.ts';

/** Lookups that end when the test says so. */
function createLookups() {
  let joined = 0;
  const singleFlight = createSingleFlight<string>(() => joined++);
  const begun: {
    signal: AbortSignal;
    land: (answer: string) => void;
    crash: (error: Error) => void;
  }[] = [];
  const begin = (signal: AbortSignal) => {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    begun.push({ signal, land: resolve, crash: reject });
    return promise;
  };
  return {
    begun,
    counts: () => ({ begun: begun.length, joined }),
    join: (signal: AbortSignal = never, revision = 0, name = 'a') =>
      singleFlight.join(name, revision, signal, begin),
  };
}

/** What has become of it by now: `waits`, its answer, or its error. */
async function stateOf(waiting: Promise<string>): Promise<unknown> {
  const later = new Promise((resolve) => setImmediate(resolve, 'waits'));
  return Promise.race([waiting.catch((error: unknown) => error), later]);
}

describe('lookups in progress', () => {
  test('are begun once, however many ask for the same', async () => {
    const { begun, counts, join } = createLookups();
    const all = Array.from({ length: 1_000 }, () => join());
    const other = join(never, 0, 'b');
    expect(counts()).toEqual({ begun: 2, joined: 999 });
    begun[0]?.land('yes');
    expect(new Set(await Promise.all(all))).toEqual(new Set(['yes']));
    expect(await stateOf(other)).toBe('waits');
  });

  test('are over once they have ended, with an answer or an error', async () => {
    const { begun, counts, join } = createLookups();
    const failing = [join(), join()];
    const error = new Error('down');
    begun[0]?.crash(error);
    for (const one of failing) await expect(one).rejects.toBe(error);
    const next = join();
    expect(counts().begun).toBe(2);
    begun[1]?.land('yes');
    await next;
    void join();
    expect(counts().begun).toBe(3);
  });

  test.each([
    { name: 'the caller who began it', leaver: 0 },
    { name: 'a caller who joined', leaver: 1 },
  ])(
    'go on for the others when $name leaves, whose call fails alone and immediately',
    async ({ leaver }) => {
      const { begun, join } = createLookups();
      const controllers = [new AbortController(), new AbortController(), new AbortController()];
      const all = controllers.map(({ signal }) => join(signal));
      const reason = new Error('gone');
      controllers[leaver]?.abort(reason);
      const states = await Promise.all(all.map(stateOf));
      expect(states).toEqual([0, 1, 2].map((each) => (each === leaver ? reason : 'waits')));
      expect(begun[0]?.signal.aborted).toBe(false);
      begun[0]?.land('yes');
      expect(await Promise.all(all.map(stateOf))).toEqual(
        [0, 1, 2].map((each) => (each === leaver ? reason : 'yes')),
      );
    },
  );

  test('are aborted when the last caller leaves, and no one joins them after that', async () => {
    const { begun, counts, join } = createLookups();
    const controllers = [new AbortController(), new AbortController()];
    const all = controllers.map(({ signal }) => join(signal));
    const [first, last] = [new Error('first'), new Error('last')];
    controllers[0]?.abort(first);
    controllers[1]?.abort(last);
    expect(begun[0]?.signal).toMatchObject({ aborted: true, reason: last });
    expect(await Promise.all(all.map(stateOf))).toEqual([first, last]);
    const next = join();
    expect(counts().begun).toBe(2);
    // The result of the aborted one goes to no one, and does not replace the next.
    begun[0]?.crash(new Error('aborted'));
    expect(await stateOf(next)).toBe('waits');
    void join();
    expect(counts()).toEqual({ begun: 2, joined: 2 });
    begun[1]?.land('yes');
    expect(await next).toBe('yes');
  });

  test('are not begun by a caller who has already left', async () => {
    const { counts, join } = createLookups();
    const reason = new Error('gone');
    await expect(join(AbortSignal.abort(reason))).rejects.toBe(reason);
    expect(counts()).toEqual({ begun: 0, joined: 0 });
  });

  test('are not joined by a caller who knows of a newer revocation, and keep their own callers', async () => {
    const { begun, counts, join } = createLookups();
    const old = join(never, 1);
    const new1 = join(never, 2);
    const new2 = join(never, 2);
    const late = join(never, 1);
    expect(counts()).toEqual({ begun: 2, joined: 2 });
    begun[0]?.land('of before');
    expect(await old).toBe('of before');
    // The end of the older one is not the end of the newer one.
    const new3 = join(never, 2);
    expect(counts()).toEqual({ begun: 2, joined: 3 });
    begun[1]?.land('of after');
    expect(await Promise.all([new1, new2, new3, late])).toEqual(new Array(4).fill('of after'));
  });
});
