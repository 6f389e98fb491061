import { describeUserProblem } from '../authenticator/shapes.ts';
import { authenticatorCase, type CaseDefinition } from '../kit.ts';
import { catchOutcome, fail, verify } from '../verify.ts';

export const listsUsersCases: readonly CaseDefinition[] = [
  authenticatorCase(
    'knownUsers() lists users in the shape that Kubernetes takes',
    async (kit, authenticator) => {
      const listed = await catchOutcome(() => [...(authenticator.knownUsers?.() ?? [])]);
      const rationale =
        'The identity policy of `sallyport check` can say nothing about anything else.';
      const expected = 'knownUsers() to list users';
      if ('error' in listed)
        return fail({ expected, actual: `it threw ${kit.show(listed.error)}`, rationale });
      for (const user of listed.value) {
        const problem = describeUserProblem(user);
        verify(problem === undefined, {
          expected,
          actual: `${problem} in ${kit.show(user)}`,
          rationale,
        });
      }
      kit.mustBeSilent('what knownUsers() lists', listed.value);
    },
  ),
];
