import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import type { Authenticator } from '../../authenticator.ts';
import { AuthenticatorError } from '../../decision.ts';
import { authenticatorCase, type CaseDefinition, type Kit } from '../kit.ts';
import type { NamedToken } from '../samples.ts';
import { type CallResult, verify } from '../verify.ts';

/** Returns the tokens that can't be decided without the backend. */
function backendTokens({ tokens }: Kit): readonly NamedToken[] {
  return [
    ...tokens.valid,
    ...tokens.rejected.filter(({ withoutBackend }) => withoutBackend !== true),
  ];
}

/** Asks concurrently, since each call may take its whole deadline. */
async function allUnavailable(
  kit: Kit,
  authenticator: Authenticator,
  tokens: readonly NamedToken[],
): Promise<void> {
  const outcomes = tokens.map(async (named) =>
    mustBeUnavailable(kit, named.name, await kit.outcome(authenticator, named)),
  );
  await Promise.all(outcomes);
}

/** Fails unless a call ended with the error of an outage. @param name of what was asked about, for messages */
export function mustBeUnavailable(kit: Kit, name: string, outcome: CallResult<unknown>): void {
  const error = 'error' in outcome ? outcome.error : undefined;
  const code = AuthenticatorError.is(error) ? error.code : undefined;
  verify(code === 'unavailable', () => ({
    expected: `${name} to throw an AuthenticatorError "unavailable" while the backend is stopped`,
    actual: `${describeOutcome(kit, outcome)}${code === undefined ? '' : ` (${code})`}`,
    rationale:
      'Only this code is an outage, and opens the circuit; a refusal would stay in caches after it.',
  }));
}

/** Says how a call ended, for a message. */
export function describeOutcome(kit: Kit, outcome: CallResult<unknown>): string {
  return 'error' in outcome
    ? `it threw ${kit.show(outcome.error)}`
    : `the answer was ${kit.show(outcome.value)}`;
}

/** Fails unless the authenticator works after an outage. @param meetOutage makes the outage, and has one call meet it */
async function mustComeBack(
  kit: Kit,
  meetOutage: (
    backend: ReturnType<Kit['backend']>,
    authenticator: Authenticator,
    named: NamedToken,
  ) => Promise<void>,
): Promise<void> {
  const backend = kit.backend();
  const authenticator = await kit.create();
  const named = kit.tokens.valid[0] as NamedToken;
  await kit.ask(authenticator, named);
  await meetOutage(backend, authenticator, named);
  await backend.start();
  const { recoverWithin = 5_000 } = kit.harness;
  const expected = `${named.name} to authenticate within ${recoverWithin}ms of the backend's return, and to throw until then`;
  const rationale = 'An outage must end by itself, without a restart of the gateway.';
  const end = performance.now() + recoverWithin;
  for (;;) {
    const outcome = await kit.outcome(authenticator, named);
    if ('value' in outcome && outcome.value.kind === 'authenticated') return;
    const actual = `at the end ${describeOutcome(kit, outcome)}`;
    verify('error' in outcome && performance.now() < end, { expected, actual, rationale });
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
];
