import { appendFile, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { randomToken } from '@sallyport/test-servers/tokens';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { expect, test } from 'vitest';
import { type AuditLine, auditLines, findGaps, readTrail } from './testing/audit-trail.ts';
import { type Client, http1Client, review } from './testing/clients.ts';
import { type Config, type Gateway, startGateway } from './testing/gateway.ts';
import { startLoad } from './testing/load.ts';
import {
  authenticated,
  type ScriptedBackend,
  startScriptedBackend,
} from './testing/scripted-backend.ts';
import { sum } from './testing/sum.ts';

/** The number of bytes that may wait before lines are dropped. Pipes hold far less. */
const capacity = 8 * 1024 * 1024;

/** A name that makes a line so long that some hundred lines exceed the capacity. The search for secrets skips its dots. */
const longName = 'n.'.repeat(16_000);

async function backendOf(name: string): Promise<ScriptedBackend> {
  const backend = await startScriptedBackend();
  backend.answerOthers(authenticated(name));
  return backend;
}

async function droppedBy(gateway: Gateway): Promise<number> {
  const text = await (await fetch(new URL('/metrics', gateway.adminUrl))).text();
  return Number(/^sallyport_audit_lines_dropped_total (\d+)$/m.exec(text)?.[1]);
}

const sumOfDropped = (lines: readonly AuditLine[]) => sum(lines.map(({ dropped = 0 }) => dropped));

/** Finds the process that wrote a line. It is `torn` if the line is only the beginning of one. */
function bootOf(line: string): string {
  try {
    return (JSON.parse(line) as AuditLine).boot;
  } catch {
    return line.startsWith('{') ? 'torn' : 'unreadable';
  }
}

/** Returns when the config is in force: SIGHUP does not wait for the gateway's next look at the file. */
async function reconfigure(gateway: Gateway, config: Config): Promise<void> {
  await gateway.configure(config);
  await gateway.reload();
}

/** Asks until lines are dropped. */
async function untilDropped(gateway: Gateway, client: Client): Promise<void> {
  const load = startLoad(client, 8);
  // This reads the metrics only when lines may be dropped soon: a scrape takes as long as several reviews.
  await waitFor(
    async () => load.answered() > 200 && (await droppedBy(gateway)) > 5,
    'lines to be dropped',
  );
  await load.stop();
  expect(load.problems()).toEqual([]);
  // A line has the name and some hundred bytes.
  expect(load.answered() * (longName.length + 1_000)).toBeGreaterThan(capacity);
}

test('SIGHUP under load: the trail goes on in a new file, and no line is lost, split or there twice', async () => {
  const backend = await backendOf('jane');
  const config = {
    audit: { output: 'audit.log' },
    authenticators: [backend.authenticator('corp')],
  };
  await using gateway = await startGateway({ config });
  using client = http1Client(gateway.url);
  const load = startLoad(client, 8);
  const files: string[] = [];
  for (let turn = 0; turn < 5; turn++) {
    const enough = load.answered() + 50;
    await waitFor(() => load.answered() > enough, 'fifty answers');
    const from = gateway.output.lines.length;
    files.push(`audit.log.${turn}`);
    await rename(join(gateway.folder, 'audit.log'), join(gateway.folder, `audit.log.${turn}`));
    gateway.signal('SIGHUP');
    await gateway.waitForLog('audit trail reopened', from);
  }
  await load.stop();
  expect(load.problems()).toEqual([]);
  await gateway.stop();
  files.push('audit.log');
  const lines = (await Promise.all(files.map((file) => readTrail(gateway.folder, file)))).flat();
  expect(lines.map(({ sequence }) => sequence)).toEqual(
    Array.from({ length: load.answered() }, (_, at) => at + 1),
  );
  expect(await findGaps(gateway.folder, files)).toBe('');
  const without = [...files.slice(0, 3), ...files.slice(4)];
  const missing = await readTrail(gateway.folder, 'audit.log.3');
  const [after] = await readTrail(gateway.folder, 'audit.log.4');
  expect(await findGaps(gateway.folder, without)).toBe(
    `${after?.boot} ${after?.time}: ${missing.length} missing before ${after?.sequence}\n`,
  );
});

test('with a standard output that no one reads, dropped lines are counted and reported', async () => {
  const backend = await backendOf(longName);
  const config = { audit: { output: 'stdout' }, authenticators: [backend.authenticator('corp')] };
  await using gateway = await startGateway({ config, pausesStdout: true });
  using client = http1Client(gateway.url);
  await untilDropped(gateway, client);
  expect(
    await gateway.waitForLog(
      'audit lines wait or are dropped: the output is full, fails or is too slow',
    ),
  ).toMatchObject({ level: 'warn' });
  // Lines of the last reviews are written some milliseconds later, or when a config is loaded.
  await reconfigure(gateway, { ...config, server: { reviewTimeout: '9s' } });
  const dropped = await droppedBy(gateway);
  gateway.readStdout();
  expect(
    await gateway.waitForLog('audit trail recovered: all waiting lines are written'),
  ).toMatchObject({ dropped });
  await review(client, randomToken());
  await gateway.stop();
  await gateway.write('stdout.log', gateway.output.stdout());
  expect(await findGaps(gateway.folder, ['stdout.log'])).toBe('');
  const lines = auditLines(gateway.output.stdout());
  expect([lines[0]?.sequence, lines.at(-1)?.dropped, sumOfDropped(lines)]).toEqual([
    1,
    dropped,
    dropped,
  ]);
});

test('the end does not wait for a standard output that no one reads', async () => {
  const backend = await backendOf(longName);
  const config = { audit: { output: 'stdout' }, authenticators: [backend.authenticator('corp')] };
  await using gateway = await startGateway({ config, pausesStdout: true });
  using client = http1Client(gateway.url);
  // This is more than a pipe holds.
  for (let time = 0; time < 50; time++) await review(client, randomToken());
  await gateway.stop();
  const lost = 'audit lines lost: they could not be written before the trail was closed';
  expect(gateway.output.lines.find(({ msg }) => msg === lost)?.lines).toBeGreaterThan(0);
});

test('on a full disk answers go on, and lines that wait at the end are counted and are in no later file', async () => {
  const backend = await backendOf('jane');
  const authenticators = [backend.authenticator('corp')];
  const onFullDisk = { audit: { output: '/dev/full' }, authenticators };
  await using gateway = await startGateway({ config: onFullDisk });
  using client = http1Client(gateway.url);
  await review(client, randomToken());
  const trouble = 'audit lines wait or are dropped: the output is full, fails or is too slow';
  expect(await gateway.waitForLog(trouble)).toMatchObject({
    level: 'warn',
    code: 'ENOSPC',
    dropped: 0,
  });
  // Lines that wait are written to the next output.
  await reconfigure(gateway, { audit: { output: 'audit.log' }, authenticators });
  await gateway.waitForLog('audit trail recovered: all waiting lines are written');
  await reconfigure(gateway, onFullDisk);
  for (let time = 0; time < 3; time++) await review(client, randomToken());
  // The trail ends here.
  await reconfigure(gateway, { authenticators });
  const lost = 'audit lines lost: they could not be written before the trail was closed';
  expect(await gateway.waitForLog(lost)).toMatchObject({ level: 'warn', lines: 3 });
  expect(await droppedBy(gateway)).toBe(3);
  const from = gateway.output.lines.length;
  await reconfigure(gateway, { audit: { output: 'audit.log' }, authenticators });
  await gateway.waitForLog('audit trail opened', from);
  await review(client, randomToken());
  await gateway.stop();
  expect((await readTrail(gateway.folder)).map(({ sequence }) => sequence)).toEqual([1, 5]);
});

test('killed under load: at most the last line is torn, and the next start ends it before its own', async () => {
  const backend = await backendOf('jane');
  const config = {
    audit: { output: 'audit.log' },
    authenticators: [backend.authenticator('corp')],
  };
  let folder: string | undefined;
  const rounds = 2;
  for (let round = 0; round < rounds; round++) {
    await using gateway = await startGateway({ config, ...(folder !== undefined && { folder }) });
    folder = gateway.folder;
    using client = http1Client(gateway.url);
    const load = startLoad(client, 8);
    await waitFor(() => load.answered() > 100 + 37 * round, 'answers');
    await gateway.kill();
    await load.stop();
    const trail = await readFile(join(folder, 'audit.log'), 'utf8');
    const last = trail.split('\n').at(-2) ?? '';
    // A kill rarely hits a write in the middle, so the test appends what that would leave.
    if (trail.endsWith('\n')) {
      await appendFile(join(folder, 'audit.log'), last.slice(0, 40 + 120 * round));
    }
    // Each process left a torn line after all its own lines.
    const boots = (await readFile(join(folder, 'audit.log'), 'utf8')).split('\n').map(bootOf);
    const ends = boots.filter((boot, at) => boot !== boots[at + 1]);
    expect(ends.filter((_, at) => at % 2 === 1)).toEqual(
      Array.from({ length: round + 1 }, () => 'torn'),
    );
    expect(new Set(ends).size).toBe(round + 2);
    expect(ends).toHaveLength(2 * (round + 1));
    expect(await findGaps(folder, ['audit.log'])).toBe('');
  }
});
