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
      await endsByThrow(kit, named, call);
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
      // No I/O ends within microtasks: a call that is settled now waited for nothing, so there is nothing to abort.
      if (await settledInMicrotasks(call)) continue;
      controller.abort(new Error('the caller has gone'));
      await endsByThrow(kit, named, call);
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
      await endsByThrow(kit, named, call);
    }
  },
};

function started(authenticator: Authenticator, { token }: NamedToken, signal: AbortSignal): Promise<Outcome<Decision>> {
  return outcomeOf(() => authenticator.authenticate(token, { audiences: [], signal }));
}

async function endsByThrow(kit: Kit, { name }: NamedToken, call: Promise<Outcome<Decision>>): Promise<void> {
  const prompt = kit.deadline / 4;
  const expected = `the call with ${name} to reject within ${prompt} ms of its abort`;
  const outcome = await within(prompt, call, { expected, got: 'it did not', why });
  verify('error' in outcome, {
    expected,
    got: `it decided: ${kit.show('value' in outcome && outcome.value)}`,
    why: 'An aborted call has no answer: it did not wait for one.',
  });
}

async function settledInMicrotasks(call: Promise<Outcome<Decision>>): Promise<boolean> {
  let settled = false;
  void call.finally(() => {
    settled = true;
  });
  for (let turn = 0; turn < 100 && !settled; turn += 1) await undefined;
  return settled;
}

export const abortCases: readonly CaseDefinition[] = [abortedBefore, abortedAmid, abortedHanging];
