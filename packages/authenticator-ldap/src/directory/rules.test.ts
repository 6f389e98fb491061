import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { never } from '../connection/testing/connecting.ts';
import type { Behavior } from './testing/memory-server.ts';
import { outcomeOf, searchOnce, setUpMemoryServers } from './testing/set-up.ts';
import { user, userNumber } from './testing/working-server.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const pass = (milliseconds = 0) => vi.advanceTimersByTimeAsync(milliseconds);
const circuitState = 'server_circuit_state{server=ldaps://a:636}';

describe('rule 3: failover and retry are our own, and nothing is queued', () => {
  test.each<{ what: string; wrong: Behavior; code: string }>([
    { what: 'was silent', wrong: 'hang', code: 'failed' },
    { what: 'ended connections', wrong: 'closed', code: 'failed' },
    { what: 'was busy', wrong: 51, code: 'unavailable' },
  ])('no bind is replayed when a server that $what is back', async ({ wrong, code }) => {
    const { directory, server } = setUpMemoryServers(1);
    server(0).binding = ({ dn }) => (dn === 'cn=service' ? 0 : wrong);
    const binds = Array.from({ length: 8 }, (_, login) =>
      outcomeOf(directory.bindUser(userNumber(login), { signal: never })),
    );
    await pass(1000);
    for (const outcome of await Promise.all(binds))
      expect(outcome).toMatch(new RegExp(`^${code}: `));
    server(0).binding = 0;
    // This time is after the probe, and after everything that could have been queued.
    await pass(60_000);
    expect(await outcomeOf(directory.withService(searchOnce(), { signal: never }))).toBe('0 by a');
    expect(server(0).binds.filter(({ dn }) => dn !== 'cn=service')).toHaveLength(8);
    await directory.close();
  });
});

describe('rule 7: refused is not down', () => {
  test.each([49, 19, 53, 8, 1, 4711])(
    'rule 16: an answer with %d is final: no other server is asked, no circuit moves',
    async (code) => {
      for (const order of ['listed', 'spread'] as const) {
        const { directory, servers, values } = setUpMemoryServers(2, {
          order,
          circuit: { failures: 1, probeInterval: 5000 },
        });
        for (const one of servers) one.binding = code;
        const { value } = await directory.bindUser(user, { signal: never });
        expect([value.code, servers.flatMap(({ binds }) => binds)]).toEqual([code, [user]]);
        expect(values.get(circuitState)).toBe(0);
        await directory.close();
      }
    },
  );

  test.each([51, 52])('an answer with %d is an outage: the next server is asked', async (code) => {
    const { directory, server, values } = setUpMemoryServers(2, {
      circuit: { failures: 1, probeInterval: 5000 },
    });
    server(0).binding = code;
    expect(await outcomeOf(directory.bindUser(user, { signal: never }))).toMatch(
      /"code":0,.* by b$/,
    );
    expect(values.get(circuitState)).toBe(2);
    await directory.close();
  });

  test('no answer of any server is a throw, and never a refusal', async () => {
    const { directory, server } = setUpMemoryServers(2);
    server(0).binding = 'hang';
    server(1).binding = 'closed';
    const outcome = outcomeOf(directory.bindUser(user, { signal: never }));
    await pass(1000);
    expect(await outcome).toMatch(
      /^failed: this login got no answer: .*ldaps:\/\/a:636.*ldaps:\/\/b:636/,
    );
    await directory.close();
  });
});

describe('rule 16: logins in flight are limited', () => {
  test('no more user binds than maxUserBinds are in progress, and the others follow in their order', async () => {
    const { directory, server } = setUpMemoryServers(1, {
      maxUserBinds: 2,
      reuseUserConnections: false,
    });
    const unanswered: (() => void)[] = [];
    server(0).binding = () => new Promise((resolve) => unanswered.push(() => resolve(0)));
    const ended: number[] = [];
    for (let login = 0; login < 6; login++) {
      void directory.bindUser(userNumber(login), { signal: never }).then(() => ended.push(login));
    }
    for (let login = 0; login < 6; login++) {
      await pass();
      expect(unanswered).toHaveLength(Math.min(2 + login, 6));
      unanswered[login]?.();
    }
    await pass();
    expect(ended).toEqual([0, 1, 2, 3, 4, 5]);
    await directory.close();
  });

  test('a caller that waits too long for a slot learns which limit to raise, and one that leaves waits no longer', async () => {
    const { directory, server } = setUpMemoryServers(1, { maxUserBinds: 1 });
    server(0).binding = 'hang';
    const leaving = new AbortController();
    const bind = (signal = never) => outcomeOf(directory.bindUser(user, { signal }));
    const [first, second, third] = [bind(), bind(), bind(leaving.signal)];
    leaving.abort(new Error('caller gone'));
    expect(await third).toBe('caller gone');
    await pass(1000);
    expect(await first).toMatch(/^failed: this login got no answer: /);
    expect(await second).toBe('failed: all 1 user binds are in progress: raise maxUserBinds');
    await directory.close();
  });
});
