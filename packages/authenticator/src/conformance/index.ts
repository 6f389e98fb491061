import { cases } from './cases.ts';
import type { ConformanceCase, ConformanceHarness } from './harness.ts';
import { type CaseDefinition, createKit } from './kit.ts';
import { type CallResult, catchOutcome, withTimeout } from './verify.ts';

export * from './context.ts';
export type * from './harness.ts';

const definitions = Object.values(cases).flat();

/**
 * The cases that every authenticator plugin must pass, as data: `for (const c of conformanceCases(harness)) test(c.name, c.run)`.
 * Each case creates an authenticator of its own and closes it, and ends by itself within `harness.limit`. Cases for a method
 * that the authenticator does not have are left out; one case tests that it does not have it.
 *
 * @throws Error when a skip has no reason or names no case, or `backend.none` has no reason
 */
export function conformanceCases<Options>(
  harness: ConformanceHarness<Options>,
): readonly ConformanceCase[] {
  const skips = listSkips(harness);
  let last: Promise<unknown> = Promise.resolve();
  const lookUp = harness.looksUpUsers === true;
  const revalidate = harness.revalidation !== undefined;
  const methods = { lookUp, revalidate, directory: lookUp && revalidate };
  const applicable = definitions.filter(({ needs }) => needs === undefined || methods[needs]);
  return applicable.map((definition) => {
    const { name } = definition;
    const skip = skips.get(name);
    if (skip !== undefined)
      return { name, skip, run: () => Promise.reject(skippedError(name, skip)) };
    const run = () => {
      const result = last.then(() => runCase(definition, harness));
      last = result.catch(() => {});
      return result;
    };
    return { name, run };
  });
}

function listSkips<Options>({
  skip = {},
  backend,
}: ConformanceHarness<Options>): ReadonlyMap<string, string> {
  const skips = new Map<string, string>();
  if ('none' in backend) {
    if (backend.none.trim() === '')
      throw new Error('backend.none needs a reason: say why nothing can fail.');
    for (const { name, needsBackend } of definitions)
      if (needsBackend) skips.set(name, backend.none);
  }
  for (const [name, reason] of Object.entries(skip)) {
    if (!definitions.some((definition) => definition.name === name)) {
      throw new Error(
        `skip names no case: "${name}". The names are:\n  ${definitions.map((definition) => definition.name).join('\n  ')}`,
      );
    }
    if (reason.trim() === '') throw new Error(`The skip of "${name}" needs a reason.`);
    skips.set(name, reason);
  }
  return skips;
}

function skippedError(name: string, reason: string): Error {
  return new Error(
    `"${name}" is skipped (${reason}). Pass the case's skip to the test runner instead of running it.`,
  );
}

async function runCase<Options>(
  definition: CaseDefinition,
  harness: ConformanceHarness<Options>,
): Promise<void> {
  const limit = harness.limit ?? 15_000;
  const kit = createKit(harness);
  const limited = (phase: string, work: Promise<void>) => {
    const rationale = 'A call of the plugin, or of the harness, hangs.';
    return withTimeout(limit, work, {
      expected: `${phase} to end within ${limit}ms`,
      actual: 'it did not',
      rationale,
    });
  };
  const ran: CallResult<void> = await catchOutcome(() => limited('the case', definition.run(kit)));
  const ended = await catchOutcome(() => limited('the cleanup', kit.end()));
  // The first failure is the cause. A failure of the cleanup may follow from it.
  if ('error' in ran) throw ran.error;
  if ('error' in ended) throw ended.error;
}
