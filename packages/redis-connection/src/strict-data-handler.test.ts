import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { errorOf } from '@sallyport/test-servers/error-of';
import { startManglingProxy } from '@sallyport/test-servers/mangling-proxy';
import { listenForNoise } from '@sallyport/test-servers/noise';
import { startRedis } from '@sallyport/test-servers/redis';
import type { TcpServer } from '@sallyport/test-servers/tcp-server';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { describe, expect, test } from 'vitest';
import { requireSlots } from './strict-data-handler.ts';
import { startHostileServer } from './testing/hostile-server.ts';
import { newKey, type Opened, open, outcomeOf } from './testing/opened.ts';

const manifest = new URL('../package.json', import.meta.url);
const require = createRequire(manifest);

test('the private parts that are replaced exist in the pinned version', () => {
  const { version } = require('ioredis/package.json') as { version: string };
  // Another version may differ: read its source, then write that version here.
  expect(version).toBe('6.0.0');
  expect(readFileSync(manifest, 'utf8')).toContain('"ioredis": "catalog:"');
  const { default: handler } = require('ioredis/built/DataHandler.js') as {
    default: { prototype: object };
  };
  const inherited = Object.getPrototypeOf(handler.prototype);
  const names = [
    'dispatch',
    'returnReply',
    'returnError',
    'returnPush',
    'returnFatalError',
    'shiftCommand',
  ];
  for (const name of names) {
    expect(Object.hasOwn(handler.prototype, name)).toBe(true);
    expect(Object.hasOwn(inherited, name)).toBe(true);
  }
});

const asked = 'an answer that no command asked for';
const notRedis = 'bytes that are not the Redis protocol';
const tooBig = 'an answer that is too big';

const problem = (sent: string) =>
  `it sent ${sent}, and the connection was ended: check that this is the port of a Redis, and that no proxy is between`;

/** Reads once, whatever the outcome, then waits for the next connection. */
async function provoke(server: TcpServer, started: Opened): Promise<void> {
  expect(await outcomeOf(started.read(newKey()))).not.toBe('undefined');
  await waitFor(() => server.connections > 1, 'another connection');
}

const bulk = (text: string) => `$${text.length}\r\n${text}\r\n`;
const answer = (text: string, key: string) => `${bulk(text)}:-1\r\n${bulk(key)}`;

/** A value for each requested key. */
function good(request: string): string {
  const keys = [...request.matchAll(/getrange\r\n\$\d+\r\n(?<key>\S+)\r\n/g)].map(
    ({ groups }) => groups?.key ?? '',
  );
  return keys.map((key) => answer(`value of ${key}`, key)).join('');
}

describe('a server', () => {
  test.each<{ name: string; bytes: string; sent: string }>([
    { name: 'a nil', bytes: '$-1\r\n', sent: asked },
    { name: 'a null', bytes: '_\r\n', sent: asked },
    { name: 'no array', bytes: '*-1\r\n', sent: asked },
    { name: 'a number', bytes: ':7\r\n', sent: asked },
    { name: 'an error', bytes: '-ERR no\r\n', sent: asked },
    { name: 'an array of nothing', bytes: '*0\r\n', sent: asked },
    { name: 'a message', bytes: '*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nb\r\n', sent: asked },
    { name: 'a push', bytes: '>2\r\n$10\r\ninvalidate\r\n_\r\n', sent: asked },
    {
      name: 'a push of a message',
      bytes: '>3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nb\r\n',
      sent: asked,
    },
    { name: 'a push of nothing', bytes: '>0\r\n', sent: asked },
    { name: 'a push of nils', bytes: '>3\r\n_\r\n_\r\n_\r\n', sent: asked },
    {
      name: 'the end of a subscription',
      bytes: '>3\r\n$12\r\nsunsubscribe\r\n$1\r\na\r\n:0\r\n',
      sent: asked,
    },
    { name: 'a push for monitors', bytes: '>2\r\n$7\r\nmonitor\r\n_\r\n', sent: asked },
    {
      name: 'what begins like TLS',
      bytes: '\u0015\u0003\u0003\u0000\u0002\u0002(',
      sent: notRedis,
    },
    { name: '512 MB', bytes: '$536870912\r\n', sent: tooBig },
  ])('that sends $name after its answers loses that connection', async ({ bytes, sent }) => {
    const noise = listenForNoise();
    await using server = await startHostileServer((request) => good(request) + bytes);
    await using started = await open({
      url: `redis://127.0.0.1:${server.port}`,
      commandTimeout: '5s',
    });
    await provoke(server, started);
    const warnings = started.lines.filter(({ level }) => level === 'warn');
    expect(warnings[0]?.fields).toMatchObject({ problem: problem(sent) });
    expect(noise).toEqual([]);
  });

  test.each<{ name: string; bytes: string; sent: string }>([
    { name: 'a nil', bytes: '$-1\r\n', sent: '' },
    { name: 'two numbers', bytes: ':1\r\n:2\r\n', sent: '' },
    { name: 'what could be a whole answer', bytes: answer('text', 'key'), sent: '' },
    { name: 'a subscription', bytes: '>3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n', sent: asked },
  ])(
    'that sends $name before its answers gives no caller the value of another key',
    async ({ bytes, sent }) => {
      await using server = await startHostileServer((request) => bytes + good(request));
      await using started = await open({
        url: `redis://127.0.0.1:${server.port}`,
        commandTimeout: '5s',
      });
      const outcomes = await Promise.all([1, 2, 3].map(() => outcomeOf(started.read(newKey()))));
      expect(outcomes).toEqual(['problem', 'problem', 'problem']);
      await waitFor(() => server.connections > 1, 'another connection');
      const reported = started.lines.flatMap(({ fields }) =>
        'problem' in fields ? [String(fields.problem)] : [],
      );
      expect(reported[0]).toMatch(
        /^it sent an answer (that no command asked for|to another command), and the connection/,
      );
      if (sent) expect(reported[0]).toBe(problem(sent));
    },
  );

  test.each([
    { name: 'a text', answers: `${bulk('text')}+text\r\n` },
    { name: 'a nil', answers: '$-1\r\n:-2\r\n' },
  ])('that answers GETRANGE or PTTL with $name is not trusted', async ({ answers }) => {
    await using server = await startHostileServer((request) => {
      const keys = [...request.matchAll(/echo\r\n\$\d+\r\n(?<key>\S+)\r\n/g)].map(
        ({ groups }) => groups?.key ?? '',
      );
      return keys.map((key) => answers + bulk(key)).join('');
    });
    await using started = await open({
      url: `redis://127.0.0.1:${server.port}`,
      commandTimeout: '5s',
    });
    expect(await outcomeOf(started.read(newKey()))).toBe('problem');
  });

  test('that answers HELLO with any bytes loses that connection, and none hangs', async () => {
    const noise = listenForNoise();
    const greetings = [
      '$-1\r\n$-1\r\n',
      '-NOPROTO no\r\n',
      '-MOVED 1 nowhere\r\n',
      '>1\r\n+x\r\n',
      '*0\r\n*0\r\n',
      '!',
    ];
    await Promise.all(
      greetings.map(async (greeting) => {
        await using server = await startHostileServer(() => '$-1\r\n', greeting);
        await using started = await open({
          url: `redis://127.0.0.1:${server.port}`,
          commandTimeout: '100ms',
        });
        const isOver = async () =>
          (await outcomeOf(started.read(newKey()))) === 'problem' && server.connections > 2;
        await waitFor(isOver, `more connections after ${JSON.stringify(greeting)}`);
      }),
    );
    expect(noise).toEqual([]);
  });
});

test('bad bytes within TLS end that connection, and nothing else', async () => {
  await using redis = await startRedis();
  let isOn = false;
  const mangled = {
    target: redis.tlsPort,
    random: Math.random,
    share: () => (isOn ? 0.15 : 0),
    insertions: ['$-1\r\n'],
  };
  await using proxy = await startManglingProxy(mangled);
  const noise = listenForNoise();
  const url = `rediss://127.0.0.1:${proxy.port}`;
  await using started = await open({ url, caFile: redis.caFile, commandTimeout: '300ms' });
  isOn = true;
  const changes = () => [...proxy.done.values()].reduce((sum, count) => sum + count, 0);
  const read = async () => {
    while (changes() < 10)
      expect(['nothing', 'problem']).toContain(await outcomeOf(started.read(newKey())));
  };
  await Promise.all(Array.from({ length: 10 }, read));
  isOn = false;
  await waitFor(async () => (await outcomeOf(started.read(newKey()))) === 'nothing', 'an answer');
  expect(noise).toEqual([]);
});

describe('a cluster', () => {
  const openCluster = (server: TcpServer) =>
    open({ cluster: [`redis://127.0.0.1:${server.port}`], commandTimeout: '300ms' });
  const address = (port: number) => `*2\r\n$9\r\n127.0.0.1\r\n:${port}\r\n`;

  const badSlots: readonly [string, (port: number) => string][] = [
    ['a nil', () => '$-1\r\n'],
    ['a nil in a list', () => '*1\r\n$-1\r\n'],
    ['a range of nothing', () => '*1\r\n*0\r\n'],
    ['a range of texts', (port) => `*1\r\n*3\r\n$1\r\n0\r\n$9\r\n__proto__\r\n${address(port)}`],
    [
      'more slots than there are',
      (port) => `*1\r\n*3\r\n:0\r\n:9007199254740991\r\n${address(port)}`,
    ],
    ['slots below the first', (port) => `*1\r\n*3\r\n:-1\r\n:16383\r\n${address(port)}`],
    ['a node that is nil', () => '*1\r\n*3\r\n:0\r\n:16383\r\n$-1\r\n'],
    ['a node that is a number', () => '*1\r\n*3\r\n:0\r\n:16383\r\n:7\r\n'],
    ['a host that is a list', (port) => `*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n*0\r\n:${port}\r\n`],
    [
      'a port that is none',
      () => '*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:70000\r\n',
    ],
    ['an error', () => '-ERR no\r\n'],
    ['a redirection', () => '-MOVED 1 nowhere\r\n'],
  ];

  test('whose slots are none is tried again', async () => {
    const noise = listenForNoise();
    await Promise.all(
      badSlots.map(async ([what, slots]) => {
        await using server = await startHostileServer((request, port) =>
          /cluster/i.test(request) ? slots(port) : '$-1\r\n',
        );
        await using started = await openCluster(server);
        expect([what, await outcomeOf(started.read(newKey()))]).toEqual([what, 'problem']);
        await waitFor(() => server.connections > 3, `more connections after ${what}`);
      }),
    );
    expect(noise).toEqual([]);
  });

  const places = [
    '',
    ' 1',
    ' 1 nowhere',
    ' __proto__ 127.0.0.1:1',
    ' 99999 127.0.0.1:1',
    ' 1 127.0.0.1:99999',
  ];
  const redirections = [
    ...places.flatMap((place) => [`MOVED${place}`, `ASK${place}`]),
    'TRYAGAIN',
    'CLUSTERDOWN',
  ];

  test('that redirects to nowhere makes only that lookup fail', async () => {
    const noise = listenForNoise();
    await Promise.all(
      redirections.map(async (redirection) => {
        await using server = await startHostileServer((request, port) =>
          /cluster/i.test(request)
            ? `*1\r\n*3\r\n:0\r\n:16383\r\n${address(port)}`
            : `-${redirection}\r\n`.repeat(request.split('*').length - 1),
        );
        await using started = await openCluster(server);
        const outcomes = await Promise.all([1, 2, 3].map(() => outcomeOf(started.read(newKey()))));
        expect([redirection, ...outcomes]).not.toContain('undefined');
        expect([redirection, (await errorOf(started.read(newKey()))).name]).toEqual([
          redirection,
          'RedisProblem',
        ]);
      }),
    );
    expect(noise).toEqual([]);
  });
});

describe('sentinels', () => {
  const badAnswers: readonly [string, (request: string, port: number) => string][] = [
    ['nils', () => '$-1\r\n$-1\r\n'],
    ['a list of nils', () => '*2\r\n$-1\r\n$-1\r\n'],
    ['lists of lists', () => '*2\r\n*1\r\n*0\r\n*1\r\n*0\r\n'],
    [
      'a host without an end',
      (_, port) => `*2\r\n$3\r\na\0b\r\n$${String(port).length}\r\n${port}\r\n`,
    ],
    ['a port that is none', () => '*2\r\n$9\r\n127.0.0.1\r\n$5\r\n70000\r\n'],
    [
      'too many answers',
      (_, port) => `*2\r\n$9\r\n127.0.0.1\r\n$${String(port).length}\r\n${port}\r\n`.repeat(9),
    ],
    ['messages that are none', () => '>3\r\n$7\r\nmessage\r\n_\r\n_\r\n'],
    ['512 MB', () => '$536870912\r\n'],
  ];

  test('that answer nonsense are asked again', async () => {
    const noise = listenForNoise();
    await Promise.all(
      badAnswers.map(async ([what, answer]) => {
        await using server = await startHostileServer(answer);
        const sentinels = [`redis://127.0.0.1:${server.port}`];
        await using started = await open({ sentinels, name: 'mymaster', commandTimeout: '300ms' });
        expect([what, await outcomeOf(started.read(newKey()))]).toEqual([what, 'problem']);
        await waitFor(() => server.connections > 3, `more connections after ${what}`);
      }),
    );
    expect(noise).toEqual([]);
  });

  test('that are left while a subscriber subscribes again leave no error unhandled', async () => {
    const noise = listenForNoise();
    let subscribed = 0;
    await using server = await startHostileServer((request, port) => {
      if (/get-master-addr/.test(request)) return `*2\r\n$9\r\n127.0.0.1\r\n${bulk(String(port))}`;
      if (/sentinels/.test(request)) return '*0\r\n';
      if (!/subscribe/.test(request)) return good(request);
      subscribed += 1;
      // The nil ends the first connection of the subscriber. The second gets no answer.
      return subscribed === 1
        ? `>3\r\n${bulk('subscribe')}${bulk('+switch-master')}:1\r\n$-1\r\n`
        : '';
    });
    const sentinels = [`redis://127.0.0.1:${server.port}`];
    const started = await open({ sentinels, name: 'mymaster', commandTimeout: '30s' });
    await waitFor(() => subscribed > 1, 'the second SUBSCRIBE');
    await started[Symbol.asyncDispose]();
    await waitFor(() => server.openSockets === 0, 'the end of all connections');
    expect(noise).toEqual([]);
  });

  test('that send an unrequested answer to a subscriber lose that connection', async () => {
    const noise = listenForNoise();
    await using server = await startHostileServer((request, port) => {
      const master = `*2\r\n$9\r\n127.0.0.1\r\n$${String(port).length}\r\n${port}\r\n`;
      if (/get-master-addr/.test(request)) return master;
      if (/sentinels/.test(request)) return '*0\r\n';
      if (/subscribe/.test(request)) {
        return '>3\r\n$9\r\nsubscribe\r\n$14\r\n+switch-master\r\n:1\r\n>3\r\n$7\r\nmessage\r\n_\r\n_\r\n$-1\r\n';
      }
      return good(request);
    });
    const sentinels = [`redis://127.0.0.1:${server.port}`];
    await using started = await open({ sentinels, name: 'mymaster', commandTimeout: '30s' });
    await waitFor(() => server.connections > 5, 'more connections');
    expect(await outcomeOf(started.read(newKey()))).toMatch(/^value of key:/);
    expect(noise).toEqual([]);
  });
});

const clusterNode = (index: number) => [
  Buffer.from(`10.0.0.${index}`),
  6379,
  Buffer.from('id'),
  [],
];
const nodes = (count: number) => Array.from({ length: count }, (_, index) => clusterNode(index));

test('slots have at most 256 nodes, each as often as it has ranges', () => {
  const ranges = nodes(256).flatMap((one, index) => [
    [2 * index, 2 * index, one],
    [2 * index + 1, 2 * index + 1, one],
  ]);
  expect(() => requireSlots(ranges)).not.toThrow();
  expect(() => requireSlots([[0, 16_383, ...nodes(256)]])).not.toThrow();
  expect(() => requireSlots([[0, 16_383, ...nodes(257)]])).toThrow('slots that no cluster has');
  expect(() => requireSlots([...ranges, [16_383, 16_383, clusterNode(256)]])).toThrow(
    'slots that no cluster has',
  );
});
