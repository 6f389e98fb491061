import { setImmediate } from 'node:timers/promises';
import type { Authenticator } from '../../authenticator.ts';
import type { CaseDefinition, Kit } from '../kit.ts';
import { type CallResult, catchOutcome, verify, withTimeout } from '../verify.ts';

/** A call that can be aborted, with its name for messages. */
export interface Call {
  readonly name: string;
  readonly start: (signal: AbortSignal) => unknown;
}

/** Aborts a call at one moment, and fails unless it ends by a throw. */
type Abort = (kit: Kit, call: Call) => Promise<void>;

const createAbortReason = () => new Error('the caller has gone');

export const abortedBefore: Abort = (kit, { name, start }) =>
  mustThrow(
    kit,
    name,
    catchOutcome(() => start(AbortSignal.abort(createAbortReason()))),
  );

export const abortedAmid: Abort = async (kit, { name, start }) => {
  const controller = new AbortController();
  const call = catchOutcome(() => start(controller.signal));
  if (await settledInMicrotasks(call)) return;
  controller.abort(createAbortReason());
  await mustThrow(kit, name, call);
};

export const abortedHanging: Abort = async (kit, { name, start }) => {
  const controller = new AbortController();
  const call = catchOutcome(() => start(controller.signal));
  // The turns let the call reach its socket.
  for (let turn = 0; turn < 10; turn += 1) await setImmediate();
  controller.abort(createAbortReason());
  await mustThrow(kit, name, call);
};

async function mustThrow(
  kit: Kit,
  name: string,
  call: Promise<CallResult<unknown>>,
): Promise<void> {
  const prompt = kit.deadline / 4;
  const expected = `the call with ${name} to reject within ${prompt}ms of its abort`;
  const rationale =
    'The caller has gone: a lookup that no one waits for holds its slot, and has no answer.';
  const outcome = await withTimeout(prompt, call, { expected, actual: 'it did not', rationale });
  verify('error' in outcome, {
    expected,
    actual: `it decided: ${kit.show('value' in outcome && outcome.value)}`,
    rationale,
  });
}

/** Returns whether a call has settled without any I/O, which never ends within microtasks: there is nothing to abort then. */
async function settledInMicrotasks(call: Promise<unknown>): Promise<boolean> {
  let settled = false;
  void call.finally(() => {
    settled = true;
  });
  for (let turn = 0; turn < 100 && !settled; turn += 1) await undefined;
  return settled;
}

/** Makes a case that aborts each call at each of the moments. The backend hangs in a case that needs it. */
export function abortCase(
  definition: Omit<CaseDefinition, 'run'>,
  calls: (kit: Kit, authenticator: Authenticator) => readonly Call[],
  aborts: readonly Abort[],
): CaseDefinition {
  async function run(kit: Kit): Promise<void> {
    const authenticator = await kit.create();
    if (definition.needsBackend) await kit.backend().hang();
    for (const call of calls(kit, authenticator))
      for (const abort of aborts) await abort(kit, call);
  }
  return { ...definition, run };
}

const withTokens = ({ tokens }: Kit, authenticator: Authenticator): readonly Call[] =>
  tokens.valid.map(({ name, token }) => ({
    name,
    start: (signal) => authenticator.authenticate(token, { audiences: [], signal }),
  }));

export const abortCases: readonly CaseDefinition[] = [
  abortCase({ name: 'a call whose signal is aborted already rejects immediately' }, withTokens, [
    abortedBefore,
  ]),
  abortCase({ name: 'an abort in mid-call ends the call, and it does not decide' }, withTokens, [
    abortedAmid,
  ]),
  abortCase(
    { name: 'a call that waits for a hung backend ends when it is aborted', needsBackend: true },
    withTokens,
    [abortedHanging],
  ),
];
