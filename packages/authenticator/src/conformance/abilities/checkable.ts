import type { Authenticator } from '../../authenticator.ts';
import { authenticatorCase, type CaseDefinition, type Kit } from '../kit.ts';
import { type CallResult, fail, verify } from '../verify.ts';

async function callCheck(kit: Kit, authenticator: Authenticator): Promise<CallResult<unknown>> {
  verify(authenticator.check, {
    expected: 'the authenticator to have check()',
    actual: 'it is left out',
    rationale:
      "Without it, no one can see whether this backend is reached; skip the case with a reason if it can't be checked.",
  });
  return await kit.timed('the end of check()', () =>
    authenticator.check?.(new AbortController().signal),
  );
}

function isListOfStrings(value: unknown): boolean {
  return (
    Array.isArray(value) &&
    value.every((element) => typeof element === 'string' && element.trim() !== '')
  );
}

export const checkableCases: readonly CaseDefinition[] = [
  authenticatorCase(
    'check() resolves while the backend is up and rejects while it is stopped',
    async (kit, authenticator) => {
      const backend = kit.backend();
      const up = await callCheck(kit, authenticator);
      const rationale = 'The operator sees it in `sallyport check` and `/readyz?verbose`.';
      if ('error' in up)
        fail({
          expected: 'check() to resolve',
          actual: `it threw ${kit.show(up.error)}`,
          rationale,
        });
      verify(up.value === undefined || isListOfStrings(up.value), {
        expected:
          'check() to resolve to nothing, or to a list of strings that say what does not work',
        actual: `it resolved to ${kit.show(up.value)}`,
        rationale: 'The gateway shows each string as a warning, and ignores everything else.',
      });
      await backend.stop();
      const down = await callCheck(kit, authenticator);
      verify('error' in down, {
        expected: 'check() to reject while the backend is stopped',
        actual: 'it resolved',
        rationale,
      });
      const { error } = down;
      const hasMessage = error instanceof Error && error.message.trim() !== '';
      const expected = 'check() to say in plain words what is wrong';
      verify(hasMessage, { expected, actual: `it threw ${kit.show(error)}`, rationale });
    },
    { needsBackend: true },
  ),
  authenticatorCase(
    'tokenStore is a string without a secret, or left out',
    async (kit, authenticator) => {
      const { tokenStore }: { readonly tokenStore?: unknown } = authenticator;
      verify(
        tokenStore === undefined || (typeof tokenStore === 'string' && tokenStore.trim() !== ''),
        {
          expected: 'tokenStore to be a string, or left out',
          actual: `it is ${kit.show(tokenStore)}`,
          rationale:
            'With it `sallyport check` finds authenticators whose tokens have their records in one place.',
        },
      );
      kit.mustBeSilent('tokenStore', tokenStore);
    },
  ),
];
