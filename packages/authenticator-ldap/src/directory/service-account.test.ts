import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { never } from '../connection/testing/connecting.ts';
import { outcomeOf, searchOnce, setUpMemoryServers } from './testing/set-up.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const pass = (milliseconds = 0) => vi.advanceTimersByTimeAsync(milliseconds);
const refused =
  'the service account cn=service was refused by ldaps://a:636 (49 invalidCredentials): check bind.dn and bind.password';

describe('the service account', () => {
  test('binds once for each connection, and not at all where searches are anonymous', async () => {
    const { directory, server } = setUpMemoryServers(1);
    await directory.withService(searchOnce(), { signal: never });
    await directory.withService(searchOnce(), { signal: never });
    expect(server(0).binds).toEqual([{ dn: 'cn=service', password: 'of the service' }]);
    await directory.close();

    const anonymous = setUpMemoryServers(1, { bind: undefined } as never);
    await anonymous.directory.withService(searchOnce(), { signal: never });
    expect([anonymous.server(0).binds, anonymous.server(0).searches.length]).toEqual([[], 1]);
    await anonymous.directory.close();
  });

  test('that is refused is named with its server and the fix, and its password nowhere', async () => {
    const { directory, server, lines } = setUpMemoryServers(1);
    server(0).binding = 49;
    const outcome = await outcomeOf(directory.withService(searchOnce(), { signal: never }));
    expect(outcome).toBe(`unavailable: no directory server could answer: ${refused}`);
    const fields = { server: 'ldaps://a:636', reason: refused, pause: '30s' };
    expect(lines).toEqual([{ level: 'warn', fields, message: 'service account refused' }]);
    await directory.close();
  });

  test('whose name is not a DN for the server is told how to write one', async () => {
    const { directory, server } = setUpMemoryServers(1);
    server(0).binding = 34;
    const outcome = await outcomeOf(directory.withService(searchOnce(), { signal: never }));
    expect(outcome).toContain(
      'bind.dn is not a DN for ldaps://a:636 (34 invalidDNSyntax): write one such as cn=',
    );
    await directory.close();
  });

  test.each([
    { code: 8, words: 'ldaps:// or StartTLS' },
    { code: 13, words: 'ldaps:// or StartTLS' },
    { code: 53, words: '53 unwillingToPerform' },
    { code: 19, words: '19 constraintViolation' },
    { code: 4711, words: '4711 other' },
  ])('refused with $code is reported so', async ({ code, words }) => {
    const { directory, server } = setUpMemoryServers(1);
    server(0).binding = code;
    expect(await outcomeOf(directory.withService(searchOnce(), { signal: never }))).toMatch(words);
    await directory.close();
  });

  test('answered with 51 or 52 counts as an outage, not as a refusal', async () => {
    const { directory, server, values } = setUpMemoryServers(1, {
      circuit: { failures: 2, probeInterval: 5000 },
    });
    for (const code of [51, 52]) {
      server(0).binding = code;
      await directory.withService(searchOnce(), { signal: never }).catch(() => {});
    }
    expect([
      server(0).binds.length,
      values.get('server_circuit_state{server=ldaps://a:636}'),
    ]).toEqual([2, 2]);
    await directory.close();
  });

  test('that is refused is not tried again for 30 s, then 60 s, up to 10 min, whatever else happens', async () => {
    const { directory, server, lines } = setUpMemoryServers(1, {
      pool: { max: 4, idleTimeout: 60_000, maxAge: 600_000 },
    });
    server(0).binding = 49;
    const times: number[] = [];
    const began = performance.now();
    while (performance.now() - began < 3_000_000) {
      const before = server(0).binds.length;
      const calls = [1, 2, 3].map(() =>
        directory.withService(searchOnce(), { signal: never }).catch(() => {}),
      );
      await Promise.all(calls);
      await directory.check(async () => {}, never);
      for (let bind = before; bind < server(0).binds.length; bind++) {
        times.push(Math.round((performance.now() - began) / 1000));
      }
      await pass(10_000);
    }
    expect(times).toEqual([0, 30, 90, 210, 450, 930, 1530, 2130, 2730]);
    expect(lines.length).toBe(times.length);
    await directory.close();
  });

  test('is sent once at a time until the server has accepted it: many logins do not lock it at the start', async () => {
    const { directory, server } = setUpMemoryServers(1);
    server(0).binding = () => pass(1).then(() => 49);
    await Promise.all(
      Array.from({ length: 20 }, () =>
        directory.withService(searchOnce(), { signal: never }).catch(() => {}),
      ),
    );
    expect(server(0).binds.length).toBe(1);
    await directory.close();
  });

  test('is sent once at a time after a refusal too, and refusals that came together are one', async () => {
    const { directory, server, lines } = setUpMemoryServers(1);
    const search = () => directory.withService(searchOnce(), { signal: never }).catch(() => {});
    const storm = async () => {
      for (const connection of server(0).connections) connection.end();
      const calls = Promise.all(Array.from({ length: 20 }, search));
      await pass(100);
      await calls;
    };
    await search();
    server(0).binding = () => new Promise((resolve) => setTimeout(() => resolve(49), 1));
    await storm();
    const pool = 4;
    expect([server(0).binds.length, lines.map(({ fields }) => fields)]).toEqual([
      1 + pool,
      [{ server: 'ldaps://a:636', reason: refused, pause: '30s' }],
    ]);
    await pass(30_000);
    await storm();
    expect(server(0).binds.length).toBe(1 + pool + 1);
    await directory.close();
  });

  test('does not outlive the directory with a bind that gets no answer', async () => {
    const { directory, server } = setUpMemoryServers(1);
    server(0).binding = 'hang';
    const search = outcomeOf(directory.withService(searchOnce(), { signal: never }));
    await pass();
    expect([server(0).binds.length, server(0).openConnections]).toEqual([1, 1]);
    await directory.close();
    await pass();
    expect(server(0).openConnections).toBe(0);
    expect(await search).toBe('unavailable: the directory is closed');
  });

  test('refused by one server is used at the next, and is no failure of the first', async () => {
    const { directory, server, values } = setUpMemoryServers(2, {
      circuit: { failures: 1, probeInterval: 5000 },
    });
    server(0).binding = 49;
    expect(await outcomeOf(directory.withService(searchOnce(), { signal: never }))).toBe('0 by b');
    expect(values.get('server_circuit_state{server=ldaps://a:636}')).toBe(0);
    await directory.close();
  });

  test('is tried again after the pause, with a clean slate', async () => {
    const { directory, server, lines } = setUpMemoryServers(1);
    server(0).binding = 49;
    const search = () => outcomeOf(directory.withService(searchOnce(), { signal: never }));
    await search();
    server(0).binding = 0;
    await pass(12_000);
    expect(await search()).toMatch('(12s ago; not tried again for 18s)');
    await pass(18_000);
    expect(await search()).toBe('0 by a');
    for (const connection of server(0).connections) connection.end();
    server(0).binding = 49;
    await search();
    expect(lines.map(({ fields }) => 'pause' in fields && fields.pause)).toEqual(['30s', '30s']);
    await directory.close();
  });

  test('whose password was changed still searches on the connections that it has', async () => {
    const { directory, server } = setUpMemoryServers(1);
    const hold = Promise.withResolvers<void>();
    await directory.withService(searchOnce(), { signal: never });
    server(0).binding = 49;
    const first = directory.withService(() => hold.promise, { signal: never });
    await pass();
    await directory.withService(searchOnce(), { signal: never }).catch(() => {});
    hold.resolve();
    await first;
    expect(await outcomeOf(directory.withService(searchOnce(), { signal: never }))).toBe('0 by a');
    await directory.close();
  });

  test('whose password must be changed is warned of once, until it is changed', async () => {
    const { directory, server, lines } = setUpMemoryServers(1);
    server(0).passwordPolicyError = 2;
    const open = async () => {
      for (const connection of server(0).connections) connection.end();
      await directory.withService(searchOnce(), { signal: never });
    };
    await open();
    await open();
    expect(lines.map(({ message }) => message)).toEqual([
      "the service account's password must be changed: the server accepted it, but reported an error of its password policy",
    ]);
    const refusing = async () => Promise.reject(new Error('user.base cannot be read'));
    const check = async () =>
      (await directory.check(refusing, never)).map(({ problem }) => problem);
    const problem = expect.stringMatching(
      /^the service account's password must be changed: .* Change it first\. .*user\.base/,
    );
    expect(await check()).toEqual([problem]);
    server(0).passwordPolicyError = undefined;
    expect(await check()).toEqual(['user.base cannot be read']);
    await open();
    server(0).passwordPolicyError = 2;
    await open();
    expect(lines.length).toBe(2);
    await directory.close();
  });
});
