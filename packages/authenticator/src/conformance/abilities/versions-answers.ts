import { authenticatorCase, type CaseDefinition } from '../kit.ts';
import { catchOutcome, verify } from '../verify.ts';

export const versionsAnswersCases: readonly CaseDefinition[] = [
  authenticatorCase(
    'answersVersion() returns a string, the same one until something changes',
    async (kit, authenticator) => {
      // In a list, a promise is not waited for.
      const readVersion = () => catchOutcome(() => [authenticator.answersVersion?.() ?? '']);
      const [firstOutcome, secondOutcome] = [await readVersion(), await readVersion()];
      const [version] = 'value' in firstOutcome ? firstOutcome.value : [];
      verify(typeof version === 'string', {
        expected: 'answersVersion() to return a string',
        actual:
          'error' in firstOutcome
            ? `it threw ${kit.show(firstOutcome.error)}`
            : 'it returned something else',
        rationale: 'The gateway calls it at each review, and could check no token.',
      });
      const [next] = 'value' in secondOutcome ? secondOutcome.value : [];
      verify(next === version, {
        expected: 'answersVersion() to return the same version each time',
        actual: 'it returned another one at its second call',
        rationale:
          'A cached answer of another version is not used: the backend would be asked at each review.',
      });
      kit.mustBeSilent('what answersVersion() returns', version);
    },
  ),
];
