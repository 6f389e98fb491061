import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import type { Authenticator } from '../../authenticator.ts';
import { authenticatorCase, type CaseDefinition, type Kit } from '../kit.ts';
import { catchOutcome, verify } from '../verify.ts';
import { isAbout } from './shapes.ts';

async function askOnce(kit: Kit, authenticator: Authenticator): Promise<void> {
  for (const named of kit.tokens.valid.slice(0, 1)) await kit.ask(authenticator, named);
}

const lives = 8;
/** The resources that keep a process alive, without those that the test runner itself creates repeatedly. */
const counted =
  'Timeout TCPSocketWrap TCPServerWrap PipeWrap TLSWrap UDPWRAP FSEventWrap StatWatcher'.split(' ');

async function liveOnce(kit: Kit): Promise<void> {
  const authenticator = await kit.create();
  for (const named of kit.tokens.valid) await catchOutcome(() => kit.ask(authenticator, named));
  await kit.close(authenticator);
}

function countResources(): ReadonlyMap<string, number> {
  const active = process.getActiveResourcesInfo();
  return new Map(
    counted.map((type) => [type, active.filter((resource) => resource === type).length]),
  );
}

/** Finds the kinds of which at least one for each life is left. Fewer belong to something else. */
function findLeaks(initialCounts: ReadonlyMap<string, number>): readonly string[] {
  return [...countResources()]
    .filter(([type, count]) => count - (initialCounts.get(type) ?? 0) >= lives)
    .map(([type]) => type);
}

export const lifecycleCases: readonly CaseDefinition[] = [
  authenticatorCase('close() may be called twice', async (kit, authenticator) => {
    await askOnce(kit, authenticator);
    await kit.close(authenticator);
    await kit.close(authenticator);
  }),
  authenticatorCase(
    'close() ends while the backend hangs',
    async (kit, authenticator) => {
      await askOnce(kit, authenticator);
      await kit.backend().hang();
      await kit.close(authenticator);
    },
    { needsBackend: true },
  ),
  {
    name: 'two authenticators of one plugin do not disturb each other',
    async run(kit) {
      const old = await kit.create();
      const current = await kit.create();
      await kit.close(old);
      for (const named of kit.tokens.valid) {
        const decision = await kit.ask(current, named);
        verify(decision.kind === 'authenticated', {
          expected: `${named.name} to authenticate after another authenticator of the plugin was closed`,
          actual: `the answer was ${kit.show(decision)}`,
          rationale:
            'A config reload creates the new one before it closes the old one; keep no state at the top of a module.',
        });
      }
    },
  },
  {
    name: 'close() leaves no timer, socket or file watch behind',
    async run(kit) {
      const initialCounts = countResources();
      // There are several lives, so that a leak differs from what the runner and the backend do in the meantime.
      for (let life = 0; life < lives; life += 1) await liveOnce(kit);
      const end = performance.now() + kit.deadline;
      // A socket disappears some turns after its end.
      while (performance.now() < end && findLeaks(initialCounts).length > 0) await delay(10);
      const leaked = findLeaks(initialCounts);
      verify(leaked.length === 0, {
        expected: `${lives} authenticators that were closed to leave nothing behind`,
        actual: `these are left: ${leaked.join(', ')}`,
        rationale:
          'Every config reload would leave as much behind, and the process could not end by itself.',
      });
    },
  },
];

/** No valid file has these bytes: they are neither text, YAML, CSV, JSON nor PEM. */
const garbage = Buffer.from([
  0xff, 0xfe, 0x00, 0x9f, 0x7b, 0x22, 0x0a, 0xc3, 0x28, 0x00, 0x2d, 0x3a, 0x5b,
]);

export const watchedFilesCases: readonly CaseDefinition[] = [
  authenticatorCase(
    'a watched file that turns to garbage is refused, and what was loaded stays in force',
    async (kit, authenticator) => {
      const [recording] = kit.recordings;
      const count = recording?.watchedFiles.length ?? 0;
      verify(count > 0 === kit.harness.watchesFiles, {
        expected: `${kit.harness.watchesFiles ? 'a file' : 'no file'} to be watched, as the harness says`,
        actual: `${count} are`,
        rationale: 'A file that is read in another way is not read again when it changes.',
      });
      const errors = (await recording?.touch(garbage)) ?? [];
      verify(errors.length === count, {
        expected: 'load() to throw on bytes that are no text',
        actual: `${count - errors.length} of ${count} files accepted them`,
        rationale: 'Without an error, a bad edit is noticed only at the next restart.',
      });
      for (const named of kit.tokens.valid) {
        const decision = await kit.ask(authenticator, named);
        verify(isAbout(decision, named.user), {
          expected: `${named.name} to authenticate after a bad edit, as the same user`,
          actual: `the answer was ${kit.show(decision)}`,
          rationale:
            'A typing error must not lock all users out: apply a file only when all of it is valid.',
        });
      }
    },
  ),
];
