import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { describeShortage } from './socket.ts';
import { connectTo } from './testing/connecting.ts';
import { startFakeServer } from './testing/fake-server.ts';

const established = '01';

/**
 * The kind of timer that runs on our end of the connection, as `tr` of Linux' /proc/net/tcp. A port may have served
 * before: what is left of such a connection (TIME_WAIT) has rows of its own there, with another timer.
 */
async function timerTowards(port: number): Promise<string | undefined> {
  const rows = (await readFile('/proc/self/net/tcp', 'utf8')).trim().split('\n').slice(1);
  const fields = rows.map((row) => row.trim().split(/\s+/));
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const ours = fields.find(
    ([, , remote, state]) => state === established && remote?.endsWith(suffix),
  );
  return ours?.[5]?.split(':')[0];
}

test('an idle connection is kept alive, so that firewalls remember it and a dead server is noticed', async () => {
  await using fake = await startFakeServer();
  const connection = await connectTo(fake.server);
  const keepAlive = '02';
  expect(await timerTowards(fake.server.port)).toBe(keepAlive);
  connection.close();
});

const problem = (code: string, syscall: string) =>
  Object.assign(new Error(`${syscall} ${code}`), { code, syscall });

describe('shortageOf', () => {
  test.each([
    {
      code: 'EMFILE',
      syscall: 'connect',
      words: /short of file descriptors: raise the limit of open files .*\(EMFILE\)/,
    },
    { code: 'ENFILE', syscall: 'connect', words: /fs\.file-max \(ENFILE\)/ },
    { code: 'EMFILE', syscall: 'getaddrinfo', words: /file descriptors/ },
    { code: 'EBUSY', syscall: 'getaddrinfo', words: /file descriptors/ },
    { code: 'EADDRNOTAVAIL', syscall: 'connect', words: /local ports/ },
    { code: 'EAI_MEMORY', syscall: 'getaddrinfo', words: /memory/ },
    { code: 'ENOMEM', syscall: 'querySrv', words: /memory/ },
    { code: 'ENOBUFS', syscall: 'connect', words: /buffers/ },
  ])('takes $code of $syscall for a shortage of this machine', ({ code, syscall, words }) => {
    expect(describeShortage(problem(code, syscall))).toMatch(words);
    expect(
      describeShortage(
        new AggregateError([problem('ECONNREFUSED', 'connect'), problem(code, syscall)]),
      ),
    ).toMatch(words);
  });

  test.each([
    { code: 'ECONNREFUSED', syscall: 'connect' },
    { code: 'ETIMEDOUT', syscall: 'connect' },
    { code: 'ENOTFOUND', syscall: 'getaddrinfo' },
    { code: 'EAI_AGAIN', syscall: 'getaddrinfo' },
    { code: 'ECONNREFUSED', syscall: 'querySrv' },
  ])('and $code of $syscall for none', ({ code, syscall }) => {
    expect(describeShortage(problem(code, syscall))).toBeUndefined();
  });

  test('nor what is no error of the system', () => {
    for (const other of [new Error('x'), new AggregateError([]), 'x', undefined]) {
      expect(describeShortage(other)).toBeUndefined();
    }
  });
});
