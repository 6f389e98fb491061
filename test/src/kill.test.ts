import { type ChildProcess, execFile } from 'node:child_process';
import { once } from 'node:events';
import { watch } from 'node:fs';
import { readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { spawnCommand } from './fixtures/command.ts';
import { temporaryFolder } from './fixtures/folder.ts';
import { startGateway } from './fixtures/gateway.ts';
import { findLeaks } from './fixtures/leaks.ts';
import { collectOutput, type Output } from './fixtures/output.ts';
import { anyPort, copyGateway, curlLine, demoFiles } from './fixtures/private-gateway.ts';
import { seededRandom } from './fixtures/seeded-random.ts';
import { secret, secretsInUse, sha256 } from './fixtures/tokens.ts';
import { within } from './fixtures/wait-for.ts';

const seed = Number(process.env.SEED ?? 20260801);
const lanes = [0, 1, 2, 3, 4];
const startsPerLane = 8;
const reloadsPerLane = 2;

type Files = Readonly<Record<(typeof demoFiles)[number], string | undefined>>;

async function readFiles(folder: string): Promise<Files> {
  const read = (name: string): Promise<string | undefined> =>
    readFile(join(folder, '.demo', name), 'utf8').catch(() => undefined);
  return { 'token-review.json': await read('token-review.json'), 'tokens.yaml': await read('tokens.yaml') };
}

/** The token of a request body, noted as a secret; throws when the body is not whole. */
function tokenOf(body: string): string {
  const { kind, spec } = JSON.parse(body) as { kind: string; spec: { token: string } };
  expect(kind).toBe('TokenReview');
  expect(spec.token.length).toBeGreaterThan(20);
  return secret(spec.token);
}

function digestOf(text: string): string {
  const { tokens } = parse(text) as { tokens: { sha256: string; username: string }[] };
  expect(tokens).toHaveLength(1);
  expect(tokens[0]?.sha256).toMatch(/^[0-9a-f]{64}$/);
  return String(tokens[0]?.sha256);
}

/** Whatever stands there is a whole file, for the owner alone. */
async function expectWhole(folder: string): Promise<void> {
  const files = await readFiles(folder);
  if (files['token-review.json'] !== undefined) {
    tokenOf(files['token-review.json']);
  }
  if (files['tokens.yaml'] !== undefined) {
    digestOf(files['tokens.yaml']);
  }
  for (const name of await readdir(join(folder, '.demo')).catch(() => [])) {
    expect((await stat(join(folder, '.demo', name))).mode & 0o777).toBe(0o600);
  }
}

/** Both files are there, and the digest is that of the body's token. */
async function expectPair(folder: string): Promise<void> {
  await expectWhole(folder);
  const files = await readFiles(folder);
  expect(digestOf(files['tokens.yaml'] ?? '')).toBe(sha256(tokenOf(files['token-review.json'] ?? '')));
}

interface Start {
  readonly child: ChildProcess;
  readonly output: Output;
  kill(): void;
}

/** Starts it, and has `moment` decide when it is killed. */
async function killed(folder: string, moment: (start: Start) => void | Promise<void>): Promise<void> {
  const cwd = await temporaryFolder('killed');
  const child = spawnCommand(['serve', ...anyPort], { gatewayFolder: folder, cwd });
  if (!child.stdout || !child.stderr) {
    throw new Error('sallyport serve did not start');
  }
  const output = collectOutput(child.stdout, child.stderr);
  const ended = once(child, 'close');
  await moment({ child, output, kill: () => child.kill('SIGKILL') });
  await within(ended, 'the end after SIGKILL');
  expect(findLeaks(output.text(), secretsInUse())).toEqual([]);
}

/** Kills it so many milliseconds from now. */
const inTime = (milliseconds: number) => (start: Start) => {
  setTimeout(start.kill, milliseconds);
};

/** Kills it in the midst of its writing: at the given change in `.demo`, counted from 1, or `latest` ms after the start. */
const atChange = (folder: string, change: number, latest: number) => (start: Start) => {
  let changes = 0;
  const watcher = watch(join(folder, '.demo'), () => {
    changes += 1;
    if (changes === change) {
      start.kill();
    }
  });
  const timer = setTimeout(start.kill, latest);
  start.child.once('close', () => {
    watcher.close();
    clearTimeout(timer);
  });
};

/** The milliseconds from a start to "listening". */
async function startTime(folder: string): Promise<number> {
  const begin = performance.now();
  const gateway = await startGateway({ gatewayFolder: folder, commandArguments: anyPort });
  const time = performance.now() - begin;
  await gateway.kill();
  return time;
}

/** A whole start: the pair fits, and the line that it prints works in a shell. */
async function expectRepaired(folder: string): Promise<void> {
  await using gateway = await startGateway({ gatewayFolder: folder, commandArguments: anyPort });
  await expectPair(folder);
  const { stdout } = await promisify(execFile)('sh', ['-c', await curlLine(gateway)]);
  expect(JSON.parse(stdout).status).toMatchObject({ authenticated: true, user: { username: 'demo' } });
}

describe.concurrent(`killed at moments of the seed ${seed} (SEED in the environment names another)`, () => {
  test.each(lanes)(
    'lane %i: each file is the old one or the new one, and the next start mends the pair',
    async (lane) => {
      const random = seededRandom(seed + lane);
      const folder = await copyGateway();
      await expectRepaired(folder);
      const time = await startTime(folder);

      for (let start = 0; start < startsPerLane; start++) {
        const gone = demoFiles.filter(() => random() < 0.6);
        for (const name of gone) {
          await rm(join(folder, '.demo', name), { force: true });
        }
        const before = await readFiles(folder);
        const change = 1 + Math.floor(10 * random());
        const moment = start % 2 ? inTime(time * (0.3 + 0.8 * random())) : atChange(folder, change, 2 * time);
        await killed(folder, moment);
        await expectWhole(folder);
        const next = await readFiles(folder);
        expect(next['token-review.json']).toBe(before['token-review.json'] ?? next['token-review.json']);
      }
      // A reload reads: what it proves here is that it stays so. Whatever it was about when it was killed, the demo's
      // files are those from before, byte for byte, and the edited config starts and answers at once.
      for (let reload = 0; reload < reloadsPerLane; reload++) {
        const edited = `${await readFile(join(folder, 'gateway.yaml'), 'utf8')}# edit ${reload}\n`;
        let before: Files | undefined;
        await killed(folder, async (start) => {
          await start.output.waitForLine((line) => line.msg === 'listening', '"listening"');
          await expectPair(folder);
          before = await readFiles(folder);
          await writeFile(join(folder, 'gateway.yaml'), edited);
          start.child.kill('SIGHUP');
          inTime(30 * random())(start);
        });
        expect(await readFiles(folder)).toEqual(before);
        await expectRepaired(folder);
        expect(await readFiles(folder)).toEqual(before);
      }

      for (const name of await readdir(join(folder, '.demo'))) {
        const hourAgo = Date.now() / 1000 - 3600;
        await utimes(join(folder, '.demo', name), hourAgo, hourAgo);
      }
      await expectRepaired(folder);
      expect((await readdir(join(folder, '.demo'))).sort()).toEqual([...demoFiles]);
    },
    60_000,
  );
});

test('a body that somebody cut short is made anew, and the digest with it', async () => {
  const folder = await copyGateway();
  await expectRepaired(folder);
  const body = join(folder, '.demo/token-review.json');
  await writeFile(body, (await readFile(body, 'utf8')).slice(0, 90));
  await expectRepaired(folder);
});
