import { AuthenticatorError } from '@sallyport/authenticator';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { ServerError } from '../connection/server-error.ts';
import { never } from '../connection/testing/connecting.ts';
import type { Behavior } from './testing/memory-server.ts';
import { outcomeOf, searchOnce, setUpMemoryServers } from './testing/set-up.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const pass = (milliseconds = 0) => vi.advanceTimersByTimeAsync(milliseconds);
const user = { dn: 'uid=jane,ou=people', password: 'of the user' };

/** Returns the outcome, and the milliseconds of the fake clock that it took. */
async function timed(call: () => Promise<string>): Promise<readonly [string, number]> {
  const began = performance.now();
  const ended = call().then((outcome) => [outcome, performance.now() - began] as const);
  await pass(60_000);
  return ended;
}

describe('failover', () => {
  test.each<Behavior>(['unreachable', 'closed', 'tls', 'protocol', 'too-large', 'answer'])(
    'goes on to the next server at an error of the kind %s',
    async (kind) => {
      const { directory, server } = setUpMemoryServers(2);
      server(0).connecting = kind;
      expect(await outcomeOf(directory.withService(searchOnce(), { signal: never }))).toBe(
        '0 by b',
      );
      expect(await outcomeOf(directory.bindUser(user, { signal: never }))).toMatch('by b');
      await directory.close();
    },
  );

  test.each(['connecting', 'binding', 'searching'] as const)(
    'costs one serverTimeout when %s hangs',
    async (step) => {
      const { directory, server } = setUpMemoryServers(2);
      server(0)[step] = 'hang';
      const search = () => outcomeOf(directory.withService(searchOnce(), { signal: never }));
      expect(await timed(search)).toEqual(['0 by b', 1000]);
      await directory.close();
    },
  );

  test('asks again when the work itself finds the server to blame', async () => {
    const { directory } = setUpMemoryServers(2);
    const asked: unknown[] = [];
    const work = async () => {
      asked.push(0);
      if (asked.length === 1) throw new ServerError('answer', 'search', 'the base is missing');
      return 'found';
    };
    expect(await outcomeOf(directory.withService(work, { signal: never }))).toBe('found by b');
    await directory.close();
  });

  test('does not go on when the login is to blame, and uses the connection again', async () => {
    const { directory, servers } = setUpMemoryServers(2);
    const work = async () => {
      throw new AuthenticatorError('failed', 'too many groups');
    };
    for (let count = 0; count < 5; count++) {
      const call = directory.withService(work, { signal: never });
      expect(await outcomeOf(call)).toBe('failed: too many groups');
    }
    expect(servers.map(({ connects }) => connects)).toEqual([1, 0]);
    await directory.close();
  });

  test('asks the preferred server first, unless its circuit is open', async () => {
    const { directory, server } = setUpMemoryServers(3);
    const call = { signal: never, prefer: server(1).server };
    expect(await outcomeOf(directory.withService(searchOnce(), call))).toBe('0 by b');
    server(1).searching = 'closed';
    for (let count = 0; count < 4; count++) await directory.withService(searchOnce(), call);
    const before = server(1).connects;
    expect(await outcomeOf(directory.withService(searchOnce(), call))).toBe('0 by a');
    expect(server(1).connects).toBe(before);
    await directory.close();
  });

  test('begins each login at another server in the order spread, and keeps a login where it is', async () => {
    const { directory } = setUpMemoryServers(3, { order: 'spread' });
    const firsts: string[] = [];
    for (let login = 0; login < 6; login++) {
      const { server } = await directory.withService(searchOnce(), { signal: never });
      const bound = await directory.bindUser(user, { signal: never, prefer: server });
      expect(bound.server).toBe(server);
      firsts.push(server.host);
    }
    expect(firsts).toEqual(['b', 'c', 'a', 'b', 'c', 'a']);
    await directory.close();
  });

  test('reports each server and its reason when none could answer', async () => {
    const { directory, server } = setUpMemoryServers(2);
    server(0).connecting = 'unreachable';
    server(1).searching = 'closed';
    const call = outcomeOf(directory.withService(searchOnce(), { signal: never }));
    expect(await call).toBe(
      'unavailable: no directory server could answer: ldaps://a:636: connect: unreachable; ldaps://b:636: search: closed',
    );
    await directory.close();
  });

  test('is immediate, and names reasons and their age, when the circuit of every server is open', async () => {
    const { directory, servers } = setUpMemoryServers(2, {
      circuit: { failures: 1, probeInterval: 60_000 },
    });
    for (const server of servers) server.connecting = 'unreachable';
    await directory.withService(searchOnce(), { signal: never }).catch(() => {});
    await pass(12_000);
    const connects = servers.map((server) => server.connects);
    const call = outcomeOf(directory.bindUser(user, { signal: never }));
    expect(await call).toBe(
      'unavailable: no directory server could answer: ' +
        'skipped, its circuit is open: ldaps://a:636: connect: unreachable (12s ago); ' +
        'skipped, its circuit is open: ldaps://b:636: connect: unreachable (12s ago)',
    );
    expect(servers.map((server) => server.connects)).toEqual(connects);
    await directory.close();
  });

  test('ends with the caller, and counts no failure that no one waited for', async () => {
    const { directory, server, values } = setUpMemoryServers(2, {
      circuit: { failures: 1, probeInterval: 5000 },
    });
    server(0).connecting = 'hang';
    const controller = new AbortController();
    const call = outcomeOf(directory.withService(searchOnce(), { signal: controller.signal }));
    await pass(999);
    controller.abort(new Error('caller gone'));
    expect(await call).toBe('caller gone');
    expect([server(1).connects, values.get('server_circuit_state{server=ldaps://a:636}')]).toEqual([
      0, 0,
    ]);
    await directory.close();
  });

  test('ends with the reason of the signal, also when an error comes with its abort', async () => {
    const { directory, values } = setUpMemoryServers(1, {
      circuit: { failures: 1, probeInterval: 5000 },
    });
    const controller = new AbortController();
    const work = async () => {
      controller.abort(new Error('caller gone'));
      throw new ServerError('closed', 'search', 'closed');
    };
    expect(await outcomeOf(directory.withService(work, { signal: controller.signal }))).toBe(
      'caller gone',
    );
    expect(values.get('server_circuit_state{server=ldaps://a:636}')).toBe(0);
    await directory.close();
  });

  test('answers whenever one server is healthy, whatever the others do and whichever is preferred', async () => {
    const behavior = fc.constantFrom<Behavior>(
      0,
      'hang',
      'unreachable',
      'closed',
      'tls',
      'protocol',
      'answer',
    );
    const step = fc.constantFrom('connecting' as const, 'searching' as const);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(step, behavior), { minLength: 1, maxLength: 4 }),
        fc.option(fc.nat(3)),
        fc.constantFrom('listed' as const, 'spread' as const),
        async (faults, preferred, order) => {
          const { directory, servers } = setUpMemoryServers(faults.length, { order });
          for (const [index, [where, what]] of faults.entries())
            Object.assign(servers[index] ?? {}, { [where]: what });
          const healthy = servers
            .filter((_, index) => faults[index]?.[1] === 0)
            .map(({ server }) => server.host);
          const prefer = servers[preferred ?? -1]?.server;
          for (let call = 0; call < 5; call++) {
            const options = { signal: never, ...(prefer && { prefer }) };
            const [outcome] = await timed(() =>
              outcomeOf(directory.withService(searchOnce(), options)),
            );
            if (healthy.length === 0)
              expect(outcome).toMatch(/^unavailable: no directory server could answer: /);
            else expect(healthy.map((host) => `0 by ${host}`)).toContain(outcome);
          }
          await directory.close();
          expect([servers.map((one) => one.openConnections), vi.getTimerCount()]).toEqual([
            servers.map(() => 0),
            0,
          ]);
        },
      ),
      { numRuns: 50 },
    );
  });
});

describe('a connection that was used before', () => {
  async function used(count: number, failures = 1) {
    const all = setUpMemoryServers(count, { circuit: { failures, probeInterval: 600_000 } });
    const hold = Promise.withResolvers<void>();
    const holding = (connection: Parameters<ReturnType<typeof searchOnce>>[0]) =>
      hold.promise.then(() => searchOnce()(connection));
    const calls = [1, 2].map(() => all.directory.withService(holding, { signal: never }));
    await pass();
    hold.resolve();
    await Promise.all(calls);
    return all;
  }

  test('and was closed before it answered is replaced immediately, and is not a failure', async () => {
    const { directory, server, values } = await used(2);
    let closes = 1;
    server(0).searching = () => (closes-- > 0 ? 'closed' : 0);
    expect(await outcomeOf(directory.withService(searchOnce(), { signal: never }))).toBe('0 by a');
    expect([server(0).connects, values.get('server_circuit_state{server=ldaps://a:636}')]).toEqual([
      3, 0,
    ]);
    await directory.close();
  });

  test('and is silent takes its idle siblings along, and the next server answers', async () => {
    const { directory, server, values } = await used(2, 2);
    for (const connection of server(0).connections) connection.deaden();
    const search = () => outcomeOf(directory.withService(searchOnce(), { signal: never }));
    const call = search();
    await pass(1000);
    expect(await call).toBe('0 by b');
    expect([
      server(0).openConnections,
      values.get('server_circuit_state{server=ldaps://a:636}'),
    ]).toEqual([0, 0]);
    server(0).connecting = 'unreachable';
    await search();
    expect(values.get('server_circuit_state{server=ldaps://a:636}')).toBe(2);
    await directory.close();
  });

  test('and is silent gives its server a second chance on a fresh one when no other could answer', async () => {
    const { directory, server, values } = await used(2);
    for (const connection of server(0).connections) connection.deaden();
    server(1).connecting = 'unreachable';
    const search = () => outcomeOf(directory.withService(searchOnce(), { signal: never }));
    expect(await timed(search)).toEqual(['0 by a', 1000]);
    expect(values.get('server_circuit_state{server=ldaps://a:636}')).toBe(0);
    await directory.close();
  });

  test('and is silent does not open the circuit of the only server when a fresh one works', async () => {
    const { directory, server, lines } = await used(1);
    for (const connection of server(0).connections) connection.deaden();
    const search = () => outcomeOf(directory.withService(searchOnce(), { signal: never }));
    const both = await timed(async () => (await Promise.all([search(), search()])).join());
    expect([both, lines]).toEqual([['0 by a,0 by a', 1000], []]);
    await directory.close();
  });
});

describe('one user whose logins get no answer', () => {
  const noAnswer = /^failed: this login got no answer: /;

  test.each([
    { what: 'next to logins of others', hasOthers: true },
    { what: 'alone', hasOthers: false },
  ])('takes the server away from no one, and reports no outage: $what', async ({ hasOthers }) => {
    const { directory, server, lines } = setUpMemoryServers(1, { reuseUserConnections: false });
    server(0).binding = ({ dn }) => (dn === user.dn ? 'hang' : 0);
    for (let login = 0; login < 8; login++) {
      expect(
        (await timed(() => outcomeOf(directory.bindUser(user, { signal: never }))))[0],
      ).toMatch(noAnswer);
      const other = { ...user, dn: `uid=user-${login}` };
      if (hasOthers)
        expect(await outcomeOf(directory.bindUser(other, { signal: never }))).toMatch(/ by a$/);
    }
    expect(await outcomeOf(directory.withService(searchOnce(), { signal: never }))).toBe('0 by a');
    expect(lines).toEqual([]);
    await directory.close();
  });

  test('in a search for groups too', async () => {
    const { directory, lines } = setUpMemoryServers(1);
    const silence = new ServerError('timeout', 'search', 'no answer');
    const call = { signal: never, subject: user.dn };
    for (let login = 0; login < 4; login++) {
      expect(await outcomeOf(directory.withService(() => Promise.reject(silence), call))).toMatch(
        noAnswer,
      );
    }
    expect(await outcomeOf(directory.withService(searchOnce(), { signal: never }))).toBe('0 by a');
    expect(lines).toEqual([]);
    await directory.close();
  });
});

describe('too many concurrent calls', () => {
  test('wait for a connection, then ask the next server, and fail without blame when all are busy', async () => {
    const { directory, servers, values } = setUpMemoryServers(2, {
      pool: { max: 1, idleTimeout: 60_000, maxAge: 600_000 },
    });
    const hold = Promise.withResolvers<void>();
    const busy = [0, 1].map((index) => {
      const prefer = servers[index]?.server;
      return directory.withService(() => hold.promise, {
        signal: never,
        ...(prefer && { prefer }),
      });
    });
    await pass();
    const search = () => outcomeOf(directory.withService(searchOnce(), { signal: never }));
    expect(await timed(search)).toEqual([
      'failed: no connection to the directory became free: ' +
        'all 1 connections to ldaps://a:636 are busy: raise pool.max; all 1 connections to ldaps://b:636 are busy: raise pool.max',
      2000,
    ]);
    expect(
      ['a', 'b'].map((name) => values.get(`server_circuit_state{server=ldaps://${name}:636}`)),
    ).toEqual([0, 0]);
    hold.resolve();
    await Promise.all(busy);
    await directory.close();
  });

  test('that wait for a server are sent on when its circuit opens', async () => {
    const { directory, server } = setUpMemoryServers(2, {
      circuit: { failures: 1, probeInterval: 600_000 },
      pool: { max: 1, idleTimeout: 60_000, maxAge: 600_000 },
    });
    await directory.withService(searchOnce(), { signal: never });
    server(0).searching = 'hang';
    const search = () => outcomeOf(directory.withService(searchOnce(), { signal: never }));
    const first = search();
    await pass(500);
    const waiting = async () => (await Promise.all([search(), search()])).join();
    expect(await timed(waiting)).toEqual(['0 by b,0 by b', 500]);
    expect([await first, server(0).connects]).toEqual(['0 by b', 1]);
    await directory.close();
  });
});
