import type { SrvRecord } from 'node:dns';
import { AuthenticatorError } from '@sallyport/authenticator';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { never } from '../connection/testing/connecting.ts';
import type { LdapOptions } from '../options/types.ts';
import type { Behavior } from './testing/memory-server.ts';
import { memoryConnect, memoryServer } from './testing/memory-server.ts';
import {
  directoryOf,
  directoryOptions,
  outcomeOf,
  searchOnce,
  setUpMemoryServers,
} from './testing/set-up.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const pass = (milliseconds = 0) => vi.advanceTimersByTimeAsync(milliseconds);
const user = { dn: 'uid=jane,ou=people', password: 'of the user' };

describe('a directory', () => {
  test('connects to nothing before the first call', async () => {
    const { directory, servers } = setUpMemoryServers(2);
    await pass(600_000);
    expect([servers.map(({ connects }) => connects), vi.getTimerCount()]).toEqual([[0, 0], 0]);
    await directory.close();
  });
});

describe('a server with an open circuit', () => {
  const circuit = { failures: 1, probeInterval: 5000 };

  test('is probed by connecting, binding and searching, one probe at a time, and used again', async () => {
    const { directory, server, values, lines } = setUpMemoryServers(2, { circuit });
    server(0).connecting = 'unreachable';
    const search = () => outcomeOf(directory.withService(searchOnce(), { signal: never }));
    expect(await search()).toBe('0 by b');
    await pass(4999);
    expect(server(0).connects).toBe(1);
    server(0).connecting = 'hang';
    await pass(1);
    expect(server(0).connects).toBe(2);
    await pass(5999);
    expect(server(0).connects).toBe(2);
    server(0).connecting = 0;
    await pass(1);
    expect([
      server(0).connects,
      server(0).searches.map(({ base }) => base),
      server(0).openConnections,
    ]).toEqual([3, [''], 0]);
    expect(values.get('server_circuit_state{server=ldaps://a:636}')).toBe(0);
    expect([await search(), server(0).connects]).toEqual(['0 by a', 4]);
    expect(lines.map(({ level, message }) => `${level}: ${message}`)).toEqual([
      'warn: directory server circuit opened: the server is skipped until a probe succeeds',
      'info: directory server circuit closed: server recovered',
    ]);
    await pass(60_000);
    expect(server(0).connects).toBe(4);
    await directory.close();
  });

  test('is reported when it is used again', async () => {
    const one = memoryServer('a');
    const recovered: string[] = [];
    const { directory } = directoryOf(
      directoryOptions([one.server], { circuit }),
      memoryConnect([one]),
      {
        backendReconnected: () => recovered.push('a'),
      },
    );
    one.connecting = 'unreachable';
    await outcomeOf(directory.withService(searchOnce(), { signal: never }));
    await pass(5000);
    expect(recovered).toEqual([]);
    one.connecting = 0;
    await pass(5000);
    expect(recovered).toEqual(['a']);
    await directory.close();
  });

  test.each<{ step: 'connecting' | 'binding' | 'searching'; behavior: Behavior }>([
    { step: 'connecting', behavior: 'hang' },
    { step: 'binding', behavior: 'hang' },
    { step: 'binding', behavior: 51 },
    { step: 'searching', behavior: 'hang' },
    { step: 'searching', behavior: 52 },
  ])(
    'stays so while $step in a probe is $behavior, and costs no login anything',
    async ({ step, behavior }) => {
      const { directory, server, lines } = setUpMemoryServers(2, { circuit });
      server(0).connecting = 'unreachable';
      await directory.withService(searchOnce(), { signal: never });
      server(0).connecting = 0;
      server(0)[step] = behavior;
      for (let second = 0; second < 60; second++) {
        const began = performance.now();
        expect(await outcomeOf(directory.withService(searchOnce(), { signal: never }))).toBe(
          '0 by b',
        );
        expect(performance.now()).toBe(began);
        await pass(1000);
      }
      expect([lines.length, server(0).openConnections <= 1]).toEqual([1, true]);
      await directory.close();
      expect(server(0).openConnections).toBe(0);
    },
  );

  test('keeps no connection that was open before', async () => {
    const { directory, server } = setUpMemoryServers(1, { circuit });
    await directory.withService(searchOnce(), { signal: never });
    server(0).connecting = 'unreachable';
    await directory.bindUser(user, { signal: never }).catch(() => {});
    expect([server(0).connections.length, server(0).openConnections]).toEqual([1, 0]);
    await directory.close();
  });

  test('is back when it only refuses the service account, which is then not tried at each probe', async () => {
    const { directory, server, values } = setUpMemoryServers(1, { circuit });
    server(0).binding = 49;
    const search = () => outcomeOf(directory.withService(searchOnce(), { signal: never }));
    await search();
    server(0).connecting = 'unreachable';
    await directory.bindUser(user, { signal: never }).catch(() => {});
    expect(values.get('server_circuit_state{server=ldaps://a:636}')).toBe(2);
    await pass(5000);
    expect(values.get('server_circuit_state{server=ldaps://a:636}')).toBe(2);
    server(0).connecting = 0;
    await pass(5000);
    expect(values.get('server_circuit_state{server=ldaps://a:636}')).toBe(0);
    expect([server(0).binds.length, server(0).openConnections]).toEqual([1, 0]);
    expect(await search()).toMatch('was refused by ldaps://a:636');
    await directory.close();
  });
});

describe('a probe', () => {
  test.each<{ step: 'binding' | 'searching'; code: number }>([
    { step: 'searching', code: 50 },
    { step: 'searching', code: 32 },
    { step: 'binding', code: 49 },
  ])('finds a server healthy whose $step is answered with $code', async ({ step, code }) => {
    const { directory, server, values } = setUpMemoryServers(1, {
      circuit: { failures: 1, probeInterval: 5000 },
    });
    server(0).connecting = 'unreachable';
    await directory.withService(searchOnce(), { signal: never }).catch(() => {});
    server(0).connecting = 0;
    server(0)[step] = code;
    await pass(5000);
    expect(values.get('server_circuit_state{server=ldaps://a:636}')).toBe(0);
    await directory.close();
  });
});

describe('check', () => {
  test('looks at every server on its own, whatever its circuit, and reports each problem in words', async () => {
    const { directory, server, values } = setUpMemoryServers(4, {
      circuit: { failures: 1, probeInterval: 600_000 },
    });
    server(0).connecting = 'unreachable';
    await directory.withService(searchOnce(), { signal: never });
    server(0).connecting = 0;
    server(1).binding = 49;
    server(2).connecting = 'tls';
    let calls = 0;
    const look = async () => {
      if (++calls === 2) throw new AuthenticatorError('failed', 'the base ou=people is not there');
    };
    const reports = await directory.check(look, never);
    expect(
      reports.map((report) => [report.server.host, report.problem, report.isPassedOver]),
    ).toEqual([
      ['a', undefined, undefined],
      [
        'b',
        'the service account cn=service was refused by ldaps://b:636 (49 invalidCredentials): check bind.dn and bind.password',
        true,
      ],
      ['c', 'ldaps://c:636: connect: tls', true],
      ['d', 'the base ou=people is not there', false],
    ]);
    expect(values.get('server_circuit_state{server=ldaps://a:636}')).toBe(2);
    expect(server(3).openConnections).toBe(0);
    await directory.close();
  });

  test('is of no consequence for a circuit, and ends with its signal', async () => {
    const { directory, server, values } = setUpMemoryServers(1, {
      circuit: { failures: 1, probeInterval: 600_000 },
    });
    server(0).connecting = 'unreachable';
    await directory.check(async () => {}, never);
    expect(values.get('server_circuit_state{server=ldaps://a:636}')).toBe(0);
    server(0).connecting = 'hang';
    const controller = new AbortController();
    const check = directory.check(async () => {}, controller.signal);
    controller.abort(new Error('enough'));
    await expect(check).rejects.toThrow('enough');
    await directory.close();
  });
});

describe('close', () => {
  test('ends calls, probes, checks of health and all connections, and leaves no timer', async () => {
    const { directory, servers, server } = setUpMemoryServers(3, {
      circuit: { failures: 1, probeInterval: 10 },
    });
    server(0).connecting = 'unreachable';
    await directory.withService(searchOnce(), { signal: never });
    server(0).connecting = 'hang';
    server(1).searching = 'hang';
    await pass(10);
    server(2).connecting = 'hang';
    const prefer = server(2).server;
    const calls = [
      directory.withService(searchOnce(), { signal: never }),
      directory.withService(searchOnce(), { signal: never, prefer }),
      directory.bindUser(user, { signal: never, prefer }),
      directory.check(searchOnce() as never, never) as never,
    ].map(outcomeOf);
    await pass(5);
    await directory.close();
    await directory.close();
    expect(new Set(await Promise.all(calls))).toEqual(
      new Set(['unavailable: the directory is closed']),
    );
    expect([servers.map((one) => one.openConnections), vi.getTimerCount()]).toEqual([[0, 0, 0], 0]);
    for (const call of [
      directory.bindUser(user, { signal: never }),
      directory.withService(searchOnce(), { signal: never }),
    ]) {
      expect(await outcomeOf(call)).toBe('unavailable: the directory is closed');
    }
    await expect(directory.check(async () => {}, never)).rejects.toThrow('the directory is closed');
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('servers by SRV records', () => {
  function createSrvDirectory(more: Partial<LdapOptions> = {}) {
    const servers = ['a.example.com', 'b.example.com'].map(memoryServer);
    let records: readonly SrvRecord[] = [];
    const srv = { name: '_ldap._tcp.example.com', security: 'ldaps', nameServers: [] } as const;
    const set = directoryOf(directoryOptions([], { srv, ...more }), memoryConnect(servers), {
      resolveSrv: async () => records,
    });
    const answer = (...names: readonly string[]) => {
      records = names.map((name, priority) => ({
        name: `${name}.example.com`,
        port: 636,
        priority,
        weight: 0,
      }));
    };
    return { ...set, servers, answer };
  }

  test('are used, and closed when they leave the list', async () => {
    const { directory, servers, answer } = createSrvDirectory();
    const search = () => outcomeOf(directory.withService(searchOnce(), { signal: never }));
    answer('a');
    expect(await search()).toBe('0 by a.example.com');
    answer('b');
    await pass(60_000);
    await search();
    await pass();
    expect([await search(), servers.map((one) => one.openConnections)]).toEqual([
      '0 by b.example.com',
      [0, 1],
    ]);
    await directory.close();
    expect([servers.map((one) => one.openConnections), vi.getTimerCount()]).toEqual([[0, 0], 0]);
  });

  test('that leave the list while they are used are not probed for it, and the next one answers', async () => {
    const { directory, servers, answer, lines } = createSrvDirectory({
      serverTimeout: 600_000,
      circuit: { failures: 1, probeInterval: 5000 },
    });
    for (const server of servers.slice(0, 1)) server.searching = 'hang';
    const search = () => outcomeOf(directory.withService(searchOnce(), { signal: never }));
    answer('a', 'b');
    const calls = [search()];
    await pass(60_000);
    expect(servers.map((one) => one.openConnections)).toEqual([1, 0]);
    answer('b');
    calls.push(search());
    await pass();
    expect(await Promise.all(calls)).toEqual(['0 by b.example.com', '0 by b.example.com']);
    await pass(60_000);
    expect([lines, servers.map((one) => one.connects)[0]]).toEqual([[], 2]);
    await directory.close();
    expect(vi.getTimerCount()).toBe(0);
  });

  test('that do not include a preferred one are asked in their order', async () => {
    const { directory, answer } = createSrvDirectory();
    answer('a');
    const prefer = memoryServer('gone.example.com').server;
    const call = directory.withService(searchOnce(), { signal: never, prefer });
    expect(await outcomeOf(call)).toBe('0 by a.example.com');
    await directory.close();
  });
});
