import { problemOfUser } from '../authenticator/shapes.ts';
import { authenticatorCase, type CaseDefinition } from '../kit.ts';
import { fail, outcomeOf, verify } from '../verify.ts';

export const listsUsersCases: readonly CaseDefinition[] = [
  authenticatorCase(
    'knownUsers() lists users in the shape that Kubernetes takes',
    async (kit, authenticator) => {
      const listed = await outcomeOf(() => [...(authenticator.knownUsers?.() ?? [])]);
      const why = 'The identity policy of `sallyport check` can say nothing about anything else.';
      const expected = 'knownUsers() to list users';
      if ('error' in listed)
        return fail({ expected, got: `it threw ${kit.show(listed.error)}`, why });
      for (const user of listed.value) {
        const problem = problemOfUser(user);
        verify(problem === undefined, { expected, got: `${problem} in ${kit.show(user)}`, why });
      }
      kit.mustBeSilent('what knownUsers() lists', listed.value);
    },
  ),
];
