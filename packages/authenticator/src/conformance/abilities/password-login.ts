import { authenticatorCase, type CaseDefinition } from '../kit.ts';
import { catchOutcome, verify } from '../verify.ts';
import { anyStrings, mustBeQuick, thrice, tiringTokens } from './recognizing.ts';

export const passwordLoginCases: readonly CaseDefinition[] = [
  authenticatorCase(
    'claimedName() answers any string with a name or nothing, the same one each time, and quickly',
    async (kit, authenticator) => {
      for (const { name, token } of [...anyStrings(kit), ...tiringTokens(kit)]) {
        const outcome = await catchOutcome(() => thrice(() => authenticator.claimedName?.(token)));
        verify('value' in outcome, () => ({
          expected: `claimedName() not to throw on ${name}`,
          actual: `it threw ${kit.show('error' in outcome && outcome.error)}`,
          rationale: 'The lookup of a valid token would fail.',
        }));
        const { answers, milliseconds } = outcome.value;
        const [firstName] = answers;
        const isName =
          firstName === undefined || (typeof firstName === 'string' && firstName !== '');
        verify(isName && answers.every((answer) => answer === firstName), () => ({
          expected: `claimedName() to give one name, or none, for ${name}`,
          actual: `it gave ${kit.show(answers)}`,
          rationale:
            'The lookups of one name are limited, so nothing else may be counted as a name.',
        }));
        mustBeQuick(`claimedName() to answer ${name}`, milliseconds);
      }
    },
  ),
  authenticatorCase(
    'claimedName() gives the name, and no password, of every valid token of a plugin that sends passwords',
    async (kit, authenticator) => {
      if (!kit.harness.sendsPasswords) return;
      for (const { name, token } of kit.tokens.valid) {
        const username = authenticator.claimedName?.(token);
        verify(typeof username === 'string' && username !== '', () => ({
          expected: `claimedName() to give the name in ${name}`,
          actual:
            authenticator.claimedName === undefined
              ? 'it is left out'
              : `it gave ${kit.show(username)}`,
          rationale:
            'Blocking this token would block no one: the same login can be written in other ways.',
        }));
        kit.mustBeSilent(`the name that claimedName() gives for ${name}`, username);
      }
    },
  ),
  authenticatorCase(
    'loginToken() writes a token of its own that carries the name, or nothing, for any name and password',
    async (kit, authenticator) => {
      const { loginToken } = authenticator;
      if (loginToken === undefined) return;
      const short = anyStrings(kit).filter(({ token }) => token.length < 1_000);
      const texts = [
        ...short,
        { name: 'a plain name', token: 'alice' },
        { name: 'a colon', token: 'a:b' },
      ];
      for (const { name, token: text } of [...texts, { name: 'nothing', token: '' }]) {
        const pairs = [[text, 'correct horse'] as const, ['alice', text] as const];
        for (const [username, password] of pairs) {
          const outcome = await catchOutcome(() => authenticator.loginToken?.(username, password));
          const token = 'value' in outcome ? outcome.value : undefined;
          verify('value' in outcome && (token === undefined || typeof token === 'string'), () => ({
            expected: `loginToken() to give a token or nothing with ${name} in it`,
            actual: 'error' in outcome ? `it threw ${kit.show(outcome.error)}` : kit.show(token),
            rationale: 'A person may type anything.',
          }));
          if (token === undefined) continue;
          verify(
            authenticator.recognizes?.(token) !== false &&
              authenticator.claimedName?.(token) !== undefined,
            {
              expected: `recognizes() and claimedName() to know the login with ${name} in it`,
              actual: 'they do not',
              rationale: 'The guard of tokens that carry a password would not hold for it.',
            },
          );
          const otherLogin = authenticator.loginToken?.(username, 'another password');
          verify(
            otherLogin === undefined ||
              authenticator.claimedName?.(otherLogin) === authenticator.claimedName?.(token),
            {
              expected: `the login with ${name} in it to claim the same name with any password`,
              actual: 'it claims another one',
              rationale:
                'A part of one would be taken for the other: a password could choose who logs in.',
            },
          );
        }
      }
      verify(loginToken.call(authenticator, 'alice', 'correct horse') !== undefined, {
        expected: 'loginToken() to write the login of a plain name and password',
        actual: 'it gave nothing',
        rationale: 'No one could log in.',
      });
    },
  ),
];
