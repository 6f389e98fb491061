import { setImmediate } from 'node:timers/promises';
import type { Authenticator } from '../authenticator.ts';
import type { Decision } from '../decision.ts';
import type { CaseDefinition, Kit, NamedToken } from './kit.ts';
import { type Outcome, outcomeOf, verify, within } from './verdict.ts';

const why = 'The caller has gone: a lookup that no one waits for holds its slot, and the slots run out.';

const abortedBefore: CaseDefinition = {
  name: 'a call whose signal is aborted already rejects at once',
  async run(kit) {
    const authenticator = await kit.create();
    for (const named of kit.tokens.valid) {
      const call = started(authenticator, named, AbortSignal.abort(new Error('the caller has gone')));
      await endsByThrow(kit, named.name, call);
    }
  },
};

const abortedAmid: CaseDefinition = {
  name: 'an abort in mid-call ends the call, and it does not decide',
  async run(kit) {
    const authenticator = await kit.create();
    for (const named of kit.tokens.valid) {
      const controller = new AbortController();
      const call = started(authenticator, named, controller.signal);
      if (await settledInMicrotasks(call)) continue;
      controller.abort(new Error('the caller has gone'));
      await endsByThrow(kit, named.name, call);
    }
  },
};

const abortedHanging: CaseDefinition = {
  name: 'a call that waits for a hung backend ends when it is aborted',
  needsBackend: true,
  async run(kit) {
    const backend = kit.backend();
    const authenticator = await kit.create();
    await backend.hang();
    for (const named of kit.tokens.valid) {
      const controller = new AbortController();
      const call = started(authenticator, named, controller.signal);
      // The turns let the call reach its socket.
      for (let turn = 0; turn < 10; turn += 1) await setImmediate();
      controller.abort(new Error('the caller has gone'));
      await endsByThrow(kit, named.name, call);
    }
  },
};

function started(authenticator: Authenticator, { token }: NamedToken, signal: AbortSignal): Promise<Outcome<Decision>> {
  return outcomeOf(() => authenticator.authenticate(token, { audiences: [], signal }));
}

/** @param name of what was called for, for messages */
export async function endsByThrow(kit: Kit, name: string, call: Promise<Outcome<unknown>>): Promise<void> {
  const prompt = kit.deadline / 4;
  const expected = `the call with ${name} to reject within ${prompt} ms of its abort`;
  const outcome = await within(prompt, call, { expected, got: 'it did not', why });
  verify('error' in outcome, {
    expected,
    got: `it decided: ${kit.show('value' in outcome && outcome.value)}`,
    why: 'An aborted call has no answer: it did not wait for one.',
  });
}

/** No I/O ends within microtasks: a call that is settled by then waited for nothing, so there is nothing to abort. */
export async function settledInMicrotasks(call: Promise<Outcome<unknown>>): Promise<boolean> {
  let settled = false;
  void call.finally(() => {
    settled = true;
  });
  for (let turn = 0; turn < 100 && !settled; turn += 1) await undefined;
  return settled;
}

export const abortCases: readonly CaseDefinition[] = [abortedBefore, abortedAmid, abortedHanging];
