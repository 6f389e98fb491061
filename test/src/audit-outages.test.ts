import { appendFile, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { auditLines, readTrail, verifyTrail } from './fixtures/audit-trail.ts';
import { type Client, http1Client, review } from './fixtures/clients.ts';
import { type Gateway, startGateway } from './fixtures/gateway.ts';
import { startLoad } from './fixtures/load.ts';
import { authenticated, type ScriptedBackend, startScriptedBackend } from './fixtures/scripted-backend.ts';
import { sum } from './fixtures/sum.ts';
import { randomToken } from './fixtures/tokens.ts';
import { waitFor } from './fixtures/wait-for.ts';

/** What waits before lines are dropped, in bytes, and more than what pipes hold. */
const room = 8 * 1024 * 1024;

/** A name that makes a line so long that some thousand are more than there is room for. */
const longName = 'n'.repeat(8_000);

async function backendOf(name: string): Promise<ScriptedBackend> {
  const backend = await startScriptedBackend();
  backend.answerOthers(authenticated(name));
  return backend;
}

async function droppedBy(gateway: Gateway): Promise<number> {
  const text = await (await fetch(new URL('/metrics', gateway.adminUrl))).text();
  return Number(/^sallyport_audit_lines_dropped_total (\d+)$/m.exec(text)?.[1]);
}

/** Asks until lines are dropped. */
async function untilDropped(gateway: Gateway, client: Client): Promise<void> {
  const load = startLoad(client, 8);
  await waitFor(async () => (await droppedBy(gateway)) > 20, 'lines to be dropped');
  await load.stop();
  expect(load.faults()).toEqual([]);
  // A line is its name and some hundred bytes.
  expect(load.answered() * (longName.length + 1_000)).toBeGreaterThan(room);
}

test('SIGHUP under load: the trail goes on in a new file, and no line is lost, split or there twice', async () => {
  const backend = await backendOf('jane');
  const config = { audit: { output: 'audit.log' }, authenticators: [backend.authenticator('corp')] };
  await using gateway = await startGateway({ config });
  using client = http1Client(gateway.url);
  const load = startLoad(client, 8);
  const files: string[] = [];
  for (let turn = 0; turn < 8; turn++) {
    const enough = load.answered() + 50;
    await waitFor(() => load.answered() > enough, 'fifty answers');
    const from = gateway.output.lines.length;
    files.push(`audit.log.${turn}`);
    await rename(join(gateway.folder, 'audit.log'), join(gateway.folder, `audit.log.${turn}`));
    gateway.signal('SIGHUP');
    await gateway.waitForLog('the audit trail is opened anew', from);
  }
  await load.stop();
  expect(load.faults()).toEqual([]);
  await gateway.stop();
  files.push('audit.log');
  const lines = (await Promise.all(files.map((file) => readTrail(gateway.folder, file)))).flat();
  expect(lines.map(({ sequence }) => sequence)).toEqual(Array.from({ length: load.answered() }, (_, at) => at + 1));
  expect(await verifyTrail(gateway.folder, files)).toMatchObject({
    boots: [{ lines: load.answered() }],
    isWhole: true,
  });
  const without = [...files.slice(0, 3), ...files.slice(4)];
  const missing = (await readTrail(gateway.folder, 'audit.log.3')).length;
  expect(await verifyTrail(gateway.folder, without)).toMatchObject({ boots: [{ missing }], isWhole: false });
});

test('a standard output that nobody reads delays no answer; what is dropped is counted, and said', async () => {
  const backend = await backendOf(longName);
  const authenticators = [backend.authenticator('corp')];
  await using silent = await startGateway({ config: { authenticators } });
  const config = { audit: { output: 'stdout' }, authenticators };
  await using gateway = await startGateway({ config, unreadStdout: true });
  using client = http1Client(gateway.url);
  using other = http1Client(silent.url);
  await untilDropped(gateway, client);

  const times = { audited: [] as number[], silent: [] as number[] };
  for (let turn = 0; turn < 300; turn++) {
    for (const [to, who] of [
      [client, times.audited],
      [other, times.silent],
    ] as const) {
      const begin = performance.now();
      await review(to, randomToken());
      who.push(performance.now() - begin);
    }
  }
  const worst = (of: readonly number[]) => Math.max(...of);
  const mean = (of: readonly number[]) => sum(of) / of.length;
  const show = (of: readonly number[]) => `mean ${mean(of).toFixed(2)} ms, worst ${worst(of).toFixed(1)} ms`;
  console.info(`trail that nobody reads: ${show(times.audited)}; no trail: ${show(times.silent)}`);
  // Promised are 50 ms: five times that on a machine that has other things to do.
  expect(worst(times.audited) - mean(times.silent)).toBeLessThan(250);

  expect(
    await gateway.waitForLog(
      'the audit trail can not be written fast enough, or not at all: lines wait, or are dropped',
    ),
  ).toMatchObject({ level: 'warn' });
  // Lines of the last reviews are made some milliseconds later, or when a config is taken in.
  await gateway.configure({ ...config, server: { reviewTimeout: '9s' } });
  await gateway.waitForLog('config reloaded');
  const dropped = await droppedBy(gateway);
  gateway.readStdout();
  expect(await gateway.waitForLog('the audit trail goes on: all that waited is written')).toMatchObject({ dropped });
  await review(client, randomToken());
  await gateway.stop();
  const report = await verifyTrail(gateway.folder, ['-'], gateway.output.stdout());
  expect(report).toMatchObject({ boots: [{ missing: 0, repeats: 0, dropped }], isWhole: true });
  expect(auditLines(gateway.output.stdout()).at(-1)?.dropped).toBe(dropped);
});

test('the end waits for a standard output that nobody reads, but not for long', async () => {
  const backend = await backendOf(longName);
  const config = { audit: { output: 'stdout' }, authenticators: [backend.authenticator('corp')] };
  await using gateway = await startGateway({ config, unreadStdout: true });
  using client = http1Client(gateway.url);
  await untilDropped(gateway, client);
  const begin = performance.now();
  await gateway.stop();
  expect(performance.now() - begin).toBeLessThan(15_000);
  const lost = 'the end of the audit trail is lost: it could not be written in time';
  expect(gateway.output.lines.find(({ msg }) => msg === lost)?.lines).toBeGreaterThan(500);
});

test('a full disk: answers go on, and what waited is written once there is room elsewhere', async () => {
  const backend = await backendOf(longName);
  const authenticators = [backend.authenticator('corp')];
  await using gateway = await startGateway({ config: { audit: { output: '/dev/full' }, authenticators } });
  using client = http1Client(gateway.url);
  await review(client, randomToken());
  const trouble = 'the audit trail can not be written fast enough, or not at all: lines wait, or are dropped';
  expect(await gateway.waitForLog(trouble)).toMatchObject({ level: 'warn', code: 'ENOSPC', dropped: 0 });
  await untilDropped(gateway, client);
  await gateway.configure({ audit: { output: 'audit.log' }, authenticators });
  await gateway.waitForLog('the audit trail goes on: all that waited is written');
  const dropped = await droppedBy(gateway);
  // All lines of the log up to that one have come.
  const warned = gateway.output.lines.filter(({ msg }) => msg === trouble);
  const [first, last] = [warned[0], warned.at(-1)].map((line) => Date.parse(String(line?.time)));
  expect(warned.length).toBeLessThanOrEqual(1 + ((last ?? 0) - (first ?? 0)) / 10_000);
  await review(client, randomToken());
  await gateway.stop();
  expect((await readTrail(gateway.folder))[0]?.sequence).toBe(1);
  expect(await verifyTrail(gateway.folder, ['audit.log'])).toMatchObject({
    boots: [{ first: 1, missing: 0, repeats: 0, dropped }],
    isWhole: true,
  });
});

test('a trail that ends on a full disk: what is lost is said and counted, and stands in no later file', async () => {
  const backend = await backendOf('jane');
  const authenticators = [backend.authenticator('corp')];
  await using gateway = await startGateway({ config: { audit: { output: '/dev/full' }, authenticators } });
  using client = http1Client(gateway.url);
  for (let time = 0; time < 3; time++) await review(client, randomToken());
  await gateway.configure({ authenticators });
  const lost = 'the end of the audit trail is lost: it could not be written in time';
  expect(await gateway.waitForLog(lost)).toMatchObject({ level: 'warn', lines: 3 });
  expect(await droppedBy(gateway)).toBe(3);
  const from = gateway.output.lines.length;
  await gateway.configure({ audit: { output: 'audit.log' }, authenticators });
  await gateway.waitForLog('the audit trail is written here', from);
  await review(client, randomToken());
  await gateway.stop();
  expect((await readTrail(gateway.folder)).map(({ sequence }) => sequence)).toEqual([4]);
  expect(gateway.output.lines.filter(({ msg }) => String(msg).startsWith('the audit trail goes on'))).toEqual([]);
});

test('killed under load: at most the last line is torn, and the next start ends it before its own', async () => {
  const backend = await backendOf('jane');
  const config = { audit: { output: 'audit.log' }, authenticators: [backend.authenticator('corp')] };
  let folder: string | undefined;
  const rounds = 5;
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
    // A write is seldom caught in the middle: what it would leave is put there.
    if (trail.endsWith('\n')) {
      await appendFile(join(folder, 'audit.log'), last.slice(0, 40 + 60 * round));
    }
    const report = await verifyTrail(folder, ['audit.log']);
    expect(report).toMatchObject({ unreadable: 0, isWhole: true });
    expect(report.boots.map(({ torn }) => torn !== undefined)).toEqual(Array.from({ length: round + 1 }, () => true));
  }
});
