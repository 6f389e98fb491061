import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import type { Authenticator } from '../authenticator.ts';
import { AuthenticatorError } from '../decision.ts';
import { authenticatorCase, type CaseDefinition, type Kit, type NamedToken } from './kit.ts';
import { fail, type Outcome, verify } from './verdict.ts';

async function checkOf(kit: Kit, authenticator: Authenticator): Promise<Outcome<unknown>> {
  verify(authenticator.check, {
    expected: 'the authenticator to have check()',
    got: 'it is left out',
    why: 'Without it, no one can see whether this backend is reached; skip the case with a reason if it can not be checked.',
  });
  return await kit.timed('the end of check()', () => authenticator.check?.(new AbortController().signal));
}

function isListOfTexts(value: unknown): boolean {
  return Array.isArray(value) && value.every((one) => typeof one === 'string' && one.trim() !== '');
}

/** The tokens that can't be decided without the backend. */
function backendTokens({ tokens }: Kit): readonly NamedToken[] {
  return [...tokens.valid, ...tokens.rejected.filter(({ withoutBackend }) => withoutBackend !== true)];
}

/** All at once, since each may take its whole deadline. */
async function allUnavailable(kit: Kit, authenticator: Authenticator, tokens: readonly NamedToken[]): Promise<void> {
  const outcomes = tokens.map(async (named) =>
    mustBeUnavailable(kit, named.name, await kit.outcome(authenticator, named)),
  );
  await Promise.all(outcomes);
}

/** @param name of what was asked about, for messages */
export function mustBeUnavailable(kit: Kit, name: string, outcome: Outcome<unknown>): void {
  const error = 'error' in outcome ? outcome.error : undefined;
  const code = AuthenticatorError.is(error) ? error.code : undefined;
  verify(code === 'unavailable', () => ({
    expected: `${name} to throw an AuthenticatorError "unavailable" while the backend is stopped`,
    got: `${gotOf(kit, outcome)}${code === undefined ? '' : ` (${code})`}`,
    why: 'Only this code is an outage, and opens the circuit; a refusal would stay in caches after it.',
  }));
}

/** How a call ended, for a message. */
export function gotOf(kit: Kit, outcome: Outcome<unknown>): string {
  return 'error' in outcome ? `it threw ${kit.show(outcome.error)}` : `the answer was ${kit.show(outcome.value)}`;
}

/** @param meetOutage makes an outage, and has one call meet it */
async function mustComeBack(
  kit: Kit,
  meetOutage: (backend: ReturnType<Kit['backend']>, authenticator: Authenticator, named: NamedToken) => Promise<void>,
): Promise<void> {
  const backend = kit.backend();
  const authenticator = await kit.create();
  const named = kit.tokens.valid[0] as NamedToken;
  await kit.ask(authenticator, named);
  await meetOutage(backend, authenticator, named);
  await backend.start();
  const { recoverWithin = 5_000 } = kit.harness;
  const expected = `${named.name} to authenticate within ${recoverWithin} ms of the backend's return, and to throw until then`;
  const why = 'An outage must end by itself, without a restart of the gateway.';
  const end = performance.now() + recoverWithin;
  for (;;) {
    const outcome = await kit.outcome(authenticator, named);
    if ('value' in outcome && outcome.value.kind === 'authenticated') return;
    const got = `at the end ${gotOf(kit, outcome)}`;
    verify('error' in outcome && performance.now() < end, { expected, got, why });
    await delay(20);
  }
}

export const outageCases: readonly CaseDefinition[] = [
  authenticatorCase(
    'a stopped backend is reported as unavailable, never as a refusal',
    async (kit, authenticator) => {
      const backend = kit.backend();
      for (const named of kit.tokens.valid) await kit.ask(authenticator, named);
      await backend.stop();
      await allUnavailable(kit, authenticator, backendTokens(kit));
    },
    { needsBackend: true },
  ),
  {
    name: 'create() succeeds while the backend is stopped',
    needsBackend: true,
    async run(kit) {
      await kit.backend().stop();
      const authenticator = await kit.create();
      await allUnavailable(kit, authenticator, kit.tokens.valid);
    },
  },
  {
    name: 'a backend that was stopped and is back is used by the same authenticator',
    needsBackend: true,
    run: (kit) =>
      mustComeBack(kit, async (backend, authenticator, named) => {
        await backend.stop();
        await kit.outcome(authenticator, named);
      }),
  },
  {
    name: 'a backend that hung and is back is used by the same authenticator',
    needsBackend: true,
    run: (kit) =>
      mustComeBack(kit, async (backend, authenticator, named) => {
        await backend.hang();
        // Aborts as the gateway does at the deadline.
        const controller = new AbortController();
        const call = kit.outcome(authenticator, named, { signal: controller.signal });
        await delay(0);
        controller.abort(new Error('the deadline has passed'));
        await call;
      }),
  },
  authenticatorCase(
    'check() resolves while the backend is up and rejects while it is stopped',
    async (kit, authenticator) => {
      const backend = kit.backend();
      const up = await checkOf(kit, authenticator);
      const why = 'The operator sees it in `sallyport check` and `/readyz?verbose`.';
      if ('error' in up) fail({ expected: 'check() to resolve', got: `it threw ${kit.show(up.error)}`, why });
      verify(up.value === undefined || isListOfTexts(up.value), {
        expected: 'check() to resolve to nothing, or to a list of texts that say what does not work',
        got: `it resolved to ${kit.show(up.value)}`,
        why: 'The gateway shows each text as a warning, and ignores everything else.',
      });
      await backend.stop();
      const down = await checkOf(kit, authenticator);
      verify('error' in down, { expected: 'check() to reject while the backend is stopped', got: 'it resolved', why });
      const { error } = down;
      const hasMessage = error instanceof Error && error.message.trim() !== '';
      const expected = 'check() to say in plain words what is wrong';
      verify(hasMessage, { expected, got: `it threw ${kit.show(error)}`, why });
    },
    { needsBackend: true },
  ),
];
