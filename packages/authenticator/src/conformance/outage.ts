import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import type { Authenticator } from '../authenticator.ts';
import { AuthenticatorError } from '../errors.ts';
import type { CaseDefinition, Kit, NamedToken } from './kit.ts';
import { fail, type Outcome, outcomeOf, verify, within } from './verdict.ts';

const reportedAsUnavailable: CaseDefinition = {
  name: 'a stopped backend is reported as unavailable, never as a refusal',
  needsBackend: true,
  async run(kit) {
    const backend = kit.backend();
    const authenticator = await kit.create();
    for (const named of kit.tokens.valid) await kit.ask(authenticator, named);
    await backend.stop();
    await allUnavailable(kit, authenticator, backendTokens(kit));
  },
};

const createdWithoutBackend: CaseDefinition = {
  name: 'create() succeeds while the backend is stopped',
  needsBackend: true,
  async run(kit) {
    await kit.backend().stop();
    const authenticator = await kit.create();
    await allUnavailable(kit, authenticator, kit.tokens.valid);
  },
};

const backAfterStop: CaseDefinition = {
  name: 'a backend that was stopped and is back is used by the same authenticator',
  needsBackend: true,
  async run(kit) {
    const backend = kit.backend();
    const authenticator = await kit.create();
    const named = firstOf(kit);
    await kit.ask(authenticator, named);
    await backend.stop();
    await kit.outcome(authenticator, named);
    await backend.start();
    await mustRecover(kit, authenticator, named);
  },
};

const backAfterHang: CaseDefinition = {
  name: 'a backend that hung and is back is used by the same authenticator',
  needsBackend: true,
  async run(kit) {
    const backend = kit.backend();
    const authenticator = await kit.create();
    const named = firstOf(kit);
    await kit.ask(authenticator, named);
    await backend.hang();
    await abandonedCall(kit, authenticator, named);
    await backend.start();
    await mustRecover(kit, authenticator, named);
  },
};

const checkReports: CaseDefinition = {
  name: 'check() resolves while the backend is up and rejects while it is stopped',
  needsBackend: true,
  async run(kit) {
    const backend = kit.backend();
    const authenticator = await kit.create();
    const up = await checkOf(kit, authenticator);
    const why = 'The operator sees it in `sallyport check` and `/readyz?verbose`.';
    if ('error' in up) fail({ expected: 'check() to resolve', got: `it threw ${kit.show(up.error)}`, why });
    await backend.stop();
    const down = await checkOf(kit, authenticator);
    verify('error' in down, { expected: 'check() to reject while the backend is stopped', got: 'it resolved', why });
    const { error } = down;
    const hasMessage = error instanceof Error && error.message.trim() !== '';
    const expected = 'check() to say in plain words what is wrong';
    verify(hasMessage, { expected, got: `it threw ${kit.show(error)}`, why });
  },
};

const whyRecovery = 'An outage must end by itself, without a restart of the gateway.';

async function checkOf(kit: Kit, authenticator: Authenticator): Promise<Outcome<void>> {
  verify(authenticator.check, {
    expected: 'the authenticator to have check()',
    got: 'it is left out',
    why: 'Without it, no one can see whether this backend is reached; skip the case with a reason if it can not be checked.',
  });
  const why = 'The operator waits for the answer.';
  const complaint = { expected: `check() to end within ${kit.deadline} ms`, got: 'it did not', why };
  return await within(
    kit.deadline,
    outcomeOf(() => authenticator.check?.(new AbortController().signal)),
    complaint,
  );
}

function firstOf({ tokens: { valid } }: Kit): NamedToken {
  const [first] = valid;
  return first ?? fail({ expected: 'a valid token', got: 'there is none', why: whyRecovery });
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
  const expected = `${name} to throw an AuthenticatorError "unavailable" while the backend is stopped`;
  if ('value' in outcome) {
    const why =
      'A user who is refused during an outage stays refused in caches after it; an acceptance would be invented.';
    fail({ expected, got: `the answer was ${kit.show(outcome.value)}`, why });
  }
  const { error } = outcome;
  verify(AuthenticatorError.is(error) && error.code === 'unavailable', {
    expected,
    got: `it threw ${kit.show(error)}${AuthenticatorError.is(error) ? ` (${error.code})` : ''}`,
    why: 'Only this code means an outage, and not a problem of one token; it opens the circuit.',
  });
}

/** Calls a hung backend, and aborts as the gateway does at the deadline. */
async function abandonedCall(kit: Kit, authenticator: Authenticator, named: NamedToken): Promise<void> {
  const controller = new AbortController();
  const call = kit.outcome(authenticator, named, { signal: controller.signal });
  await delay(0);
  controller.abort(new Error('the deadline has passed'));
  await call;
}

async function mustRecover(kit: Kit, authenticator: Authenticator, named: NamedToken): Promise<void> {
  const end = performance.now() + kit.recoverWithin;
  for (;;) {
    const outcome = await kit.outcome(authenticator, named);
    if ('value' in outcome && outcome.value.kind === 'authenticated') return;
    const came =
      'value' in outcome ? `the answer was ${kit.show(outcome.value)}` : `it threw ${kit.show(outcome.error)}`;
    const expected = `${named.name} to authenticate within ${kit.recoverWithin} ms of the backend's return`;
    verify('error' in outcome, { expected: `${expected}, and to throw until then`, got: came, why: whyRecovery });
    verify(performance.now() < end, { expected, got: `at the end ${came}`, why: whyRecovery });
    await delay(20);
  }
}

export const outageCases: readonly CaseDefinition[] = [
  reportedAsUnavailable,
  createdWithoutBackend,
  backAfterStop,
  backAfterHang,
  checkReports,
];
