import { readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { awkwardToken, randomToken } from '@sallyport/test-servers/tokens';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { expect, test } from 'vitest';
import { auditLines, findGaps, readTrail, readTrailSoFar } from './testing/audit-trail.ts';
import { sealingKey, shared, startCacheGateway } from './testing/cache-gateway.ts';
import { down, failed, refusal } from './testing/chain.ts';
import { http1Client, review } from './testing/clients.ts';
import { runCommand } from './testing/command.ts';
import { temporaryFolder } from './testing/folder.ts';
import { configText, startGateway } from './testing/gateway.ts';
import { createMutualTls } from './testing/mutual-tls.ts';
import { authenticated, startScriptedBackend } from './testing/scripted-backend.ts';

const audit = { output: 'audit.log' };

test('a line for each outcome, with who asked, who decided, and the answer of every authenticator', async () => {
  const [backend, mutual] = [await startScriptedBackend(), await createMutualTls()];
  const words = 'words of a backend, which are for the log alone';
  const entries = [
    backend.authenticator('first', { onError: 'continue' }),
    shared(backend, 'corp', {}, { username: { prefix: 'corp:' } }),
  ];
  const config = { audit, server: { tls: mutual.tls }, authenticators: entries };
  await using gateway = await startGateway({ config, files: mutual.files });
  using client = http1Client(gateway.url, mutual.client);

  const [yes, no, unknown, unchecked] = [
    awkwardToken(),
    randomToken(),
    randomToken(),
    randomToken(),
  ];
  const forged = 'ja\u202ene"}\n{"time":"1"\u0085';
  // The identity policy would refuse a line end. An accepted name can have quotes and invisible characters.
  const quoted = 'ja\u200bne"},{"time":"1"';
  backend.answer(
    yes,
    authenticated(quoted, ['a', 'b', 'c'], {
      user: { username: quoted, uid: '7', groups: ['a', 'b', 'c'] },
    }),
    'corp',
  );
  backend.answer(no, { kind: 'rejected', reason: 'locked', subject: forged }, 'corp');
  backend.answer(unchecked, { ...down, message: words } as typeof down, 'first');
  backend.answer(unchecked, failed, 'corp');
  for (const token of [yes, yes, no, unknown, unchecked]) {
    await review(client, token);
  }
  expect((await client.send({ body: '{}' })).status).toBe(400);
  await gateway.stop();

  expect(await readFile(join(gateway.folder, 'audit.log'), 'utf8')).not.toContain(words);
  const lines = await readTrail(gateway.folder);
  const id = expect.stringMatching(/^[0-9a-f-]{36}$/);
  const seconds = expect.any(Number);
  const said = (authenticator: string, answer: string, more: object = {}) => ({
    authenticator,
    answer,
    seconds,
    ...more,
  });
  const about = (sequence: number) => ({
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
    boot: lines[0]?.boot,
    sequence,
    review: id,
    caller: 'CN=kube-apiserver',
    fingerprint: expect.stringMatching(/^[\w-]{22}$/),
    seconds,
  });
  const first = said('first', 'no-opinion');
  const jane = {
    outcome: 'authenticated',
    authenticator: 'corp',
    username: `corp:${quoted}`,
    uid: '7',
    groups: 3,
  };
  const { fingerprint: _, ...untold } = about(6);
  expect(lines).toEqual([
    { ...about(1), ...jane, asked: [first, said('corp', 'authenticated')] },
    {
      ...about(2),
      ...jane,
      cached: 'memory',
      asked: [first, said('corp', 'authenticated', { cached: 'memory' })],
    },
    {
      ...about(3),
      outcome: 'rejected',
      reason: 'locked',
      authenticator: 'corp',
      subject: forged,
      asked: [first, said('corp', 'rejected', { reason: 'locked' })],
    },
    { ...about(4), outcome: 'unknown', asked: [first, said('corp', 'no-opinion')] },
    {
      ...about(5),
      outcome: 'error',
      reason: 'authenticators first, corp unavailable',
      asked: [
        said('first', 'error', { error: 'unavailable' }),
        said('corp', 'error', { error: 'failed' }),
      ],
    },
    {
      ...untold,
      outcome: 'invalid',
      reason: 'the body is empty: it must be a TokenReview object',
      asked: [],
    },
  ]);
  expect(lines[0]?.fingerprint).toBe(lines[1]?.fingerprint);
  expect(lines[0]?.fingerprint).not.toBe(lines[2]?.fingerprint);
  // The ids of the log are the ids of the trail.
  const logged = gateway.output.lines
    .filter(({ msg }) => msg === 'token review')
    .map((line) => line.review);
  expect(logged).toEqual(lines.map((line) => line.review));
  expect((await stat(join(gateway.folder, 'audit.log'))).mode & 0o777).toBe(0o600);
  expect(await findGaps(gateway.folder, ['audit.log'])).toBe('');
});

test('reports that an earlier answer was used, and why; processes with one sealing key agree on fingerprints', async () => {
  const backend = await startScriptedBackend();
  const keys = [sealingKey(), sealingKey()];
  const setup = {
    authenticators: [shared(backend, 'corp', { authenticatedTtl: '50ms' })],
    redis: { url: 'redis://127.0.0.1:1', startWithoutBlocks: true },
    keys,
    more: { audit },
  };
  const token = randomToken();
  backend.answer(token, authenticated('jane'));
  await using one = await startCacheGateway(setup);
  await one.ask(token);
  backend.answer(token, down);
  const stale = await waitFor(async () => {
    await one.ask(token);
    return (await readTrailSoFar(one.gateway.folder)).find(({ cached }) => cached === 'stale');
  }, 'a line of a stale answer');
  expect(stale).toMatchObject({
    outcome: 'authenticated',
    username: 'jane',
    asked: [
      { authenticator: 'corp', answer: 'authenticated', cached: 'stale', error: 'unavailable' },
    ],
  });
  // The command is another process with the same keys, like another replica.
  const command = ['audit', 'fingerprint', '--config', 'gateway.yaml'];
  const { code, stdout } = await runCommand(command, { cwd: one.gateway.folder }, `${token}\n`);
  expect([code, stdout.split('\n')[0], stdout.split('\n').length]).toEqual([
    0,
    stale.fingerprint,
    3,
  ]);
});

test('on standard output the trail is alone, without the log', async () => {
  const backend = await startScriptedBackend();
  backend.answerOthers(authenticated('jane'));
  const config = { audit: { output: 'stdout' }, authenticators: [backend.authenticator('corp')] };
  await using gateway = await startGateway({ config });
  using client = http1Client(gateway.url);
  await Promise.all(Array.from({ length: 20 }, () => review(client, randomToken())));
  await gateway.reload();
  await review(client, randomToken());
  await gateway.stop();
  const lines = auditLines(gateway.output.stdout());
  expect(lines.map(({ sequence }) => sequence)).toEqual(
    Array.from({ length: 21 }, (_, at) => at + 1),
  );
  expect(gateway.output.lines.filter((line) => 'sequence' in line)).toEqual([]);
});

test('a file that cannot be opened stops the start, and is refused at a reload; no line is lost', async () => {
  const backend = await startScriptedBackend();
  backend.answerOthers(refusal);
  const authenticators = [backend.authenticator('corp')];
  const config = (output: string) => ({ audit: { output }, authenticators });
  await using gateway = await startGateway({ config: config('audit.log') });
  using client = http1Client(gateway.url);

  const bad = await temporaryFolder('bad');
  await gateway.write('bad.yaml', configText(config(`${bad}/no/audit.log`)));
  const start = await runCommand(['serve', '--config', 'bad.yaml'], { cwd: gateway.folder });
  const reason = `audit.output: can't open ${bad}/no/audit.log: its folder does not exist\n  fix: create the folder`;
  expect([start.code, start.stderr]).toEqual([1, expect.stringContaining(reason)]);

  await review(client, randomToken());
  await gateway.configure(config(`${bad}/no/audit.log`));
  expect(await gateway.waitForLog('config reload refused')).toMatchObject({
    problems: [expect.stringContaining(reason.replace('\n  fix', ''))],
  });
  await review(client, randomToken());
  await waitFor(async () => (await readTrailSoFar(gateway.folder)).length === 2, 'both lines');
  // SIGHUP reopens the file whatever becomes of the config, but follows no symbolic link.
  const file = join(gateway.folder, 'audit.log');
  await rename(file, `${file}.1`);
  await writeFile(join(bad, 'target'), 'as it was');
  await symlink(join(bad, 'target'), file);
  gateway.signal('SIGHUP');
  expect(
    await gateway.waitForLog('audit trail could not be opened: the previous output stays in use'),
  ).toMatchObject({
    problems: [expect.stringContaining(`can't open ${file}: it is a symbolic link`)],
  });
  expect(await readFile(file, 'utf8')).toBe('as it was');
  await rm(file);
  gateway.signal('SIGHUP');
  await gateway.waitForLog('audit trail reopened');
  await review(client, randomToken());
  await waitFor(
    async () => (await readTrailSoFar(gateway.folder)).length === 1,
    'the line in the new file',
  );
  await gateway.configure(config('other.log'));
  await gateway.waitForLog('config reloaded');
  await gateway.waitForLog(
    'audit trail opened',
    gateway.output.lines.findIndex(({ msg }) => msg === 'listening'),
  );
  await review(client, randomToken());
  await gateway.configure({ authenticators });
  await waitFor(
    () => gateway.output.lines.filter(({ msg }) => msg === 'config reloaded').length === 2,
    'a second reload',
  );
  await review(client, randomToken());
  await gateway.stop();
  const sequences = async (name: string) =>
    (await readTrail(gateway.folder, name)).map(({ sequence }) => sequence);
  const files = ['audit.log.1', 'audit.log', 'other.log'];
  expect(await Promise.all(files.map(sequences))).toEqual([[1, 2], [3], [4]]);
});

test('the command of docs/audit-trail.md finds gaps and repeated lines, of each process by itself', async () => {
  const folder = await temporaryFolder('gaps');
  const line = (boot: string, sequence: number, more: object = {}) =>
    `${JSON.stringify({ time: `t${sequence}`, boot, sequence, ...more })}\n`;
  const whole = [
    line('a', 7),
    line('a', 8),
    line('a', 12, { dropped: 3 }),
    line('a', 13).slice(0, 9),
    '\n',
    line('b', 1),
  ];
  await writeFile(join(folder, 'old'), whole.join(''));
  await writeFile(
    join(folder, 'whole'),
    line('b', 2) + line('a', 13) + line('c', 3, { dropped: 2 }),
  );
  expect(await findGaps(folder, ['old', 'whole'])).toBe('');
  const broken = [
    line('b', 5),
    'rubbish\n',
    '[1]\n',
    line('b', 5),
    line('c', 3, { dropped: 1 }),
    line('a', 16),
  ];
  await writeFile(join(folder, 'broken'), broken.join(''));
  expect(await findGaps(folder, ['old', 'broken'])).toBe(
    [
      'b t5: 3 missing before 5',
      'b t5: -1 missing before 5',
      'c t3: 1 missing before 3',
      'a t16: 3 missing before 16\n',
    ].join('\n'),
  );
});
