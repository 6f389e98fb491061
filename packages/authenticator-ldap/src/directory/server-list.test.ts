import type { SrvRecord } from 'node:dns';
import { tmpdir } from 'node:os';
import { recordingContext } from '@sallyport/authenticator/conformance';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { never } from '../connection/testing/connecting.ts';
import { createSrvList, type SrvList } from './server-list.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const record = (name: string, priority = 0): SrvRecord => ({
  name: `${name}.example.com`,
  port: 636,
  priority,
  weight: 0,
});

function createList(more: Partial<SrvList['options']> = {}) {
  let records: readonly SrvRecord[] | Error | 'hang' = [];
  const lookups: AbortSignal[] = [];
  const changes: string[] = [];
  const closing = new AbortController();
  const { context, lines } = recordingContext({ pluginName: 'ldap', baseDirectory: tmpdir() });
  const srv = { name: '_ldap._tcp.example.com', security: 'ldaps', nameServers: [] } as const;
  const list = createSrvList({
    srv,
    options: { order: 'listed', serverTimeout: 1000, tls: { minVersion: 'TLSv1.2' }, ...more },
    resolve: async (_name, signal) => {
      lookups.push(signal);
      if (records === 'hang') return new Promise(() => {});
      if (records instanceof Error) throw records;
      return records;
    },
    closing: closing.signal,
    logger: context.logger,
    now: () => performance.now(),
    random: () => 0.5,
    onChange: (servers) => changes.push(servers.map(({ host }) => host.split('.')[0]).join()),
  });
  const ask = async (signal = never) =>
    (await list.inOrder({ signal })).map(({ host }) => host.split('.')[0]).join();
  const asked = (signal?: AbortSignal) => ask(signal).catch((error: Error) => error.message);
  return {
    list,
    lookups,
    changes,
    lines,
    closing,
    ask: asked,
    answer: (next: typeof records) => {
      records = next;
    },
  };
}

const pass = (milliseconds = 0) => vi.advanceTimersByTimeAsync(milliseconds);
const enotfound = new Error('querySrv ENOTFOUND _ldap._tcp.example.com');

describe('servers by SRV records', () => {
  test('are looked up at the first call and by one lookup for many calls, not before', async () => {
    const { ask, answer, lookups, changes } = createList();
    answer([record('b', 1), record('a', 0)]);
    await pass(600_000);
    expect(lookups.length).toBe(0);
    expect(await Promise.all([ask(), ask(), ask()])).toEqual(['a,b', 'a,b', 'a,b']);
    expect([lookups.length, changes]).toEqual([1, ['a,b']]);
  });

  test('are looked up again in the background when a call finds them older than a minute', async () => {
    const { ask, answer, lookups, changes } = createList();
    answer([record('a')]);
    await ask();
    await pass(59_999);
    await ask();
    expect(lookups.length).toBe(1);
    await pass(1);
    answer([record('b')]);
    expect(await ask()).toBe('a');
    await pass();
    expect([await ask(), lookups.length, changes]).toEqual(['b', 2, ['a', 'b']]);
  });

  test('keep their order while the records are the same, in whatever order DNS gives them', async () => {
    const { ask, answer, changes } = createList();
    answer([record('a'), record('b'), record('c')]);
    const before = await ask();
    await pass(60_000);
    answer([record('c'), record('a'), record('b')]);
    await ask();
    await pass();
    expect([await ask(), changes.length]).toEqual([before, 1]);
  });

  test('stay when a later lookup fails or gives none, with one warning, and are looked up again 5 s later', async () => {
    const { ask, answer, lookups, lines } = createList();
    answer([record('a')]);
    await ask();
    for (const failure of [enotfound, [], 'hang'] as const) {
      await pass(60_000);
      answer(failure);
      expect(await ask()).toBe('a');
      await pass(3000);
    }
    expect([await ask(), lookups.length, lines.map(({ level }) => level)]).toEqual([
      'a',
      4,
      ['warn'],
    ]);
    await pass(5000);
    answer([record('b')]);
    await ask();
    await pass();
    expect(await ask()).toBe('b');
  });

  test('that this machine could not ask for are no outage', async () => {
    const { list, answer } = createList();
    answer(Object.assign(new Error('querySrv ENOMEM'), { code: 'ENOMEM', syscall: 'querySrv' }));
    await expect(list.inOrder({ signal: never })).rejects.toMatchObject({
      code: 'failed',
      message: expect.stringContaining('this machine is short of memory'),
    });
  });

  test('that were never found are an outage in plain words, and looked up again no sooner than 5 s later', async () => {
    const { ask, answer, lookups } = createList();
    const words = 'the SRV records _ldap._tcp.example.com give no directory server: ';
    answer(enotfound);
    expect(await ask()).toBe(`${words}${enotfound.message}`);
    expect(await ask()).toBe(`${words}${enotfound.message}`);
    expect(lookups.length).toBe(1);
    await pass(5000);
    answer([{ ...record('a'), name: 'evil.test' }]);
    expect(await ask()).toBe(
      `${words}its targets (evil.test) are outside of its domain: if that is intended, set serverName`,
    );
    await pass(5000);
    answer([{ ...record('a'), name: '.' }]);
    expect(await ask()).toBe(`${words}DNS has no such service`);
    await pass(5000);
    answer('hang');
    const hung = ask();
    await pass(3000);
    expect(await hung).toBe(`${words}DNS did not answer within 3s`);
  });

  test('are waited for until the signal of the caller, and the lookup goes on for others', async () => {
    const { ask, answer } = createList();
    answer('hang');
    const controller = new AbortController();
    const [first, second] = [ask(controller.signal), ask()];
    await pass();
    controller.abort(new Error('caller gone'));
    expect(await first).toBe('caller gone');
    await pass(3000);
    expect(await second).toMatch('DNS did not answer');
  });

  test('are 16 at most, those of the first priorities', async () => {
    const { ask, answer, lines } = createList();
    const records = Array.from({ length: 20 }, (_, index) => record(`s${index}`, index));
    answer(records.toReversed());
    expect(await ask()).toBe(
      records
        .slice(0, 16)
        .map((_, index) => `s${index}`)
        .join(),
    );
    expect(lines.map(({ message }) => message)).toEqual([
      'too many SRV targets: only the first ones are used',
    ]);
  });

  test('outside of the domain are warned of once', async () => {
    const { ask, answer, lines } = createList();
    answer([record('a'), { ...record('b'), name: 'evil.test' }]);
    for (let minute = 0; minute < 3; minute++) {
      expect(await ask()).toBe('a');
      await pass(60_000);
    }
    expect(lines.map(({ fields }) => fields)).toEqual([
      { srv: '_ldap._tcp.example.com', targets: ['evil.test'] },
    ]);
  });

  test('are drawn again for each login in the order spread, within their priorities', async () => {
    const { list, answer } = createList({ order: 'spread' });
    answer([record('a'), record('b'), record('c', 1)]);
    const hosts = (servers: readonly { host: string }[]) =>
      servers.map(({ host }) => host.split('.')[0]).join();
    const servers = await list.inOrder({ signal: never });
    expect(hosts(servers)).toBe('a,b,c');
    const prefer = servers[2];
    expect(hosts(await list.inOrder({ signal: never, ...(prefer && { prefer }) }))).toBe('c,a,b');
  });

  test('leave no lookup at close', async () => {
    const { list, ask, answer, closing, lookups } = createList();
    answer('hang');
    const call = ask();
    await pass();
    closing.abort(new Error('the directory is closed'));
    await list.close();
    expect(await call).toMatch('the directory is closed');
    expect([lookups[0]?.aborted, vi.getTimerCount()]).toEqual([true, 0]);
  });
});
