import type { CaseDefinition } from './case-definition.ts';
import { secretFinder } from './leaks.ts';
import { anyStrings } from './recognition.ts';
import { outcomeOf, verify } from './verdict.ts';

const everyLogin: CaseDefinition = {
  name: 'usernameIn() gives the name, and no password, of every valid token of a plugin that sends passwords',
  async run(kit) {
    const authenticator = await kit.create();
    if (!kit.harness.sendsPasswords) return;
    for (const { name, token } of kit.tokens.valid) {
      const username = authenticator.usernameIn?.(token);
      verify(typeof username === 'string' && username !== '', {
        expected: `usernameIn() to give the name in ${name}`,
        got: authenticator.usernameIn === undefined ? 'it is left out' : `it gave ${kit.tell(username)}`,
        why: 'To block this token would stop no one: the same login can be written in other ways.',
      });
      verify(secretFinder(kit.secrets).find(username).length === 0, {
        expected: `usernameIn() to give no password of ${name}`,
        got: 'one is in it',
        why: 'The name is printed, in a command to paste.',
      });
    }
  },
};

const plainAnswer: CaseDefinition = {
  name: 'usernameIn() answers any string with a name or undefined, and the same one each time',
  async run(kit) {
    const authenticator = await kit.create();
    for (const { name, token } of anyStrings(kit)) {
      const first = await outcomeOf(() => [authenticator.usernameIn?.(token)]);
      verify('value' in first, {
        expected: `usernameIn() not to throw on ${name}`,
        got: `it threw ${kit.tell('error' in first && first.error)}`,
        why: 'Then no token of any authenticator can be blocked.',
      });
      const answers: readonly unknown[] = [...first.value, authenticator.usernameIn?.(token)];
      const [answer] = answers;
      verify(
        answers.every((one) => one === answer && (one === undefined || (typeof one === 'string' && one !== ''))),
        {
          expected: `usernameIn() to give one name or undefined for ${name}`,
          got: `it gave ${kit.tell(answers)}`,
          why: 'A promise or an empty name tells no one whom to block instead.',
        },
      );
    }
  },
};

export const usernameInCases: readonly CaseDefinition[] = [everyLogin, plainAnswer];
