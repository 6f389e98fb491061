import { authenticatorCase, type CaseDefinition } from '../kit.ts';
import { outcomeOf, verify } from '../verify.ts';

export const versionsAnswersCases: readonly CaseDefinition[] = [
  authenticatorCase(
    'answersVersion() returns a string, the same one until something changes',
    async (kit, authenticator) => {
      // In a list, a promise is not waited for.
      const read = () => outcomeOf(() => [authenticator.answersVersion?.() ?? '']);
      const [first, second] = [await read(), await read()];
      const [version] = 'value' in first ? first.value : [];
      verify(typeof version === 'string', {
        expected: 'answersVersion() to return a string',
        got: 'error' in first ? `it threw ${kit.show(first.error)}` : 'it returned something else',
        why: 'The gateway calls it at each review, and could check no token.',
      });
      const [next] = 'value' in second ? second.value : [];
      verify(next === version, {
        expected: 'answersVersion() to return the same version each time',
        got: 'it returned another one at its second call',
        why: 'A cached answer of another version is not used: the backend would be asked at each review.',
      });
      kit.mustBeSilent('what answersVersion() returns', version);
    },
  ),
];
