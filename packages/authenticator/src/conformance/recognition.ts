import type { Authenticator } from '../authenticator.ts';
import {
  alteredTokens,
  encodedTokens,
  hugeTokens,
  illFormedTokens,
  injectionTokens,
  memberTokens,
  nulTokens,
} from './hostile.ts';
import { authenticatorCase, type CaseDefinition, type Kit, type NamedToken } from './kit.ts';
import { outcomeOf, verify } from './verdict.ts';

/** Milliseconds of CPU. The contract says microseconds: this catches only time that grows with the square of the length. */
const longest = 100;

function mustBeQuick(what: string, milliseconds: number): void {
  verify(milliseconds < longest, {
    expected: `${what} within microseconds`,
    got: `it took ${Math.round(milliseconds)} ms`,
    why: 'All reviews wait for it: one caller with a crafted token would stop the gateway (ReDoS).',
  });
}

function recognitionOf(authenticator: Authenticator): (token: string) => unknown {
  verify(authenticator.recognizes, {
    expected: 'the authenticator to have recognizes()',
    got: 'it is left out',
    why: 'Without it every token waits for this backend; skip the case with a reason if its tokens have no common shape.',
  });
  return (token) => authenticator.recognizes?.(token);
}

function anyStrings({ tokens }: Kit): readonly NamedToken[] {
  const makers = [alteredTokens, hugeTokens, nulTokens, illFormedTokens];
  const made = tokens.valid.flatMap((valid) => makers.flatMap((make) => make(valid)));
  return [...tokens.valid, ...tokens.foreign, ...made, ...memberTokens, ...injectionTokens, ...encodedTokens];
}

/** Long runs that a nested quantifier may split in many ways, with an end that does not match. */
function tiringTokens({ tokens }: Kit): readonly NamedToken[] {
  const starts = ['', ...tokens.valid.map(({ token }) => token)];
  const runs = ['a', '0', '=', '.', ':', '-', '_', ' ', 'a.', 'ab:', 'aA0-'];
  return starts.flatMap((start, index) =>
    runs.map((run) => ({
      name: `${index === 0 ? 'a token' : `valid token ${index}`} with 16 KiB of "${run}" and a "!" behind it`,
      token: `${start}${run.repeat(16_384 / run.length)}!`,
    })),
  );
}

/** Milliseconds of CPU that this thread has used; before Node 23.9, the process. A busy machine does not change them. */
function used(): number {
  const { user, system } = (process.threadCpuUsage ?? process.cpuUsage)();
  return (user + system) / 1000;
}

/** Calls three times. The time is the shortest, since garbage may be collected during one of them. */
function thrice<T>(call: () => T): { readonly answers: readonly T[]; readonly milliseconds: number } {
  const times = [1, 2, 3].map(() => {
    const start = used();
    return { answer: call(), milliseconds: used() - start };
  });
  return {
    answers: times.map(({ answer }) => answer),
    milliseconds: Math.min(...times.map(({ milliseconds }) => milliseconds)),
  };
}

export const recognitionCases: readonly CaseDefinition[] = [
  authenticatorCase('recognizes() is true for every token of its own', async (kit, authenticator) => {
    const recognizes = recognitionOf(authenticator);
    for (const { name, token } of [...kit.tokens.valid, ...kit.tokens.rejected]) {
      verify(recognizes(token) === true, {
        expected: `recognizes() to be true of ${name}`,
        got: 'it was not',
        why: 'The gateway never asks an authenticator about a token that it does not recognise.',
      });
    }
  }),
  authenticatorCase(
    'recognizes() answers any string with a boolean, and the same one each time',
    async (kit, authenticator) => {
      const recognizes = recognitionOf(authenticator);
      for (const { name, token } of anyStrings(kit)) {
        const asked = await outcomeOf(() => thrice(() => recognizes(token)));
        verify('value' in asked, () => ({
          expected: `recognizes() not to throw on ${name}`,
          got: `it threw ${kit.show('error' in asked && asked.error)}`,
          why: 'It runs before everything else, so its throw would end reviews that concern other authenticators.',
        }));
        const { answers } = asked.value;
        const isPlain = answers.every((answer) => typeof answer === 'boolean' && answer === answers[0]);
        verify(isPlain, () => ({
          expected: `recognizes() to give one boolean for ${name}`,
          got: `it gave ${kit.show(answers)}`,
          why: 'A promise counts as true, and a regular expression with the flag g remembers its last match.',
        }));
      }
    },
  ),
  authenticatorCase('recognizes() takes no time, however the token is made', async (kit, authenticator) => {
    const recognizes = recognitionOf(authenticator);
    for (const { name, token } of [...anyStrings(kit), ...tiringTokens(kit)]) {
      mustBeQuick(`recognizes() to answer ${name}`, thrice(() => recognizes(token)).milliseconds);
    }
  }),
  authenticatorCase(
    'whyUnrecognized() answers any string that is not recognized with words or nothing, and quotes no token',
    async (kit, authenticator) => {
      if (authenticator.whyUnrecognized === undefined) return;
      for (const { name, token } of anyStrings(kit)) {
        if (authenticator.recognizes?.(token) !== false) continue;
        const asked = await outcomeOf(() => authenticator.whyUnrecognized?.(token));
        const words = 'value' in asked ? asked.value : undefined;
        const isWords = words === undefined || (typeof words === 'string' && words !== '' && words.length <= 1_000);
        verify('value' in asked && isWords, () => ({
          expected: `whyUnrecognized() to give up to 1,000 characters, or nothing, for ${name}`,
          got: 'error' in asked ? `it threw ${kit.show(asked.error)}` : `it gave ${kit.show(words)}`,
          why: 'Operators read it in a row of what `sallyport explain` prints.',
        }));
        kit.mustBeSilent(`what whyUnrecognized() says of ${name}`, words);
      }
    },
  ),
  authenticatorCase(
    'claimedName() answers any string with a name or nothing, the same one each time, and takes no time',
    async (kit, authenticator) => {
      for (const { name, token } of [...anyStrings(kit), ...tiringTokens(kit)]) {
        const asked = await outcomeOf(() => thrice(() => authenticator.claimedName?.(token)));
        verify('value' in asked, () => ({
          expected: `claimedName() not to throw on ${name}`,
          got: `it threw ${kit.show('error' in asked && asked.error)}`,
          why: 'The lookup of a good token would fail.',
        }));
        const { answers, milliseconds } = asked.value;
        const [first] = answers;
        const isName = first === undefined || (typeof first === 'string' && first !== '');
        verify(isName && answers.every((answer) => answer === first), () => ({
          expected: `claimedName() to give one name, or none, for ${name}`,
          got: `it gave ${kit.show(answers)}`,
          why: 'The lookups of one name are limited, so nothing else may be counted as a name.',
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
          got: authenticator.claimedName === undefined ? 'it is left out' : `it gave ${kit.show(username)}`,
          why: 'Blocking this token would block no one: the same login can be written in other ways.',
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
      const texts = [...short, { name: 'a plain name', token: 'alice' }, { name: 'a colon', token: 'a:b' }];
      for (const { name, token: text } of [...texts, { name: 'nothing', token: '' }]) {
        const pairs = [[text, 'correct horse'] as const, ['alice', text] as const];
        for (const [username, password] of pairs) {
          const outcome = await outcomeOf(() => authenticator.loginToken?.(username, password));
          const token = 'value' in outcome ? outcome.value : undefined;
          verify('value' in outcome && (token === undefined || typeof token === 'string'), () => ({
            expected: `loginToken() to give a token or nothing with ${name} in it`,
            got: 'error' in outcome ? `it threw ${kit.show(outcome.error)}` : kit.show(token),
            why: 'A person may type anything.',
          }));
          if (token === undefined) continue;
          verify(authenticator.recognizes?.(token) !== false && authenticator.claimedName?.(token) !== undefined, {
            expected: `recognizes() and claimedName() to know the login with ${name} in it`,
            got: 'they do not',
            why: 'The guard of tokens that carry a password would not hold for it.',
          });
          const other = authenticator.loginToken?.(username, 'another password');
          verify(other === undefined || authenticator.claimedName?.(other) === authenticator.claimedName?.(token), {
            expected: `the login with ${name} in it to claim the same name with any password`,
            got: 'it claims another one',
            why: 'A part of one would be taken for the other: a password could choose who logs in.',
          });
        }
      }
      verify(loginToken.call(authenticator, 'alice', 'correct horse') !== undefined, {
        expected: 'loginToken() to write the login of a plain name and password',
        got: 'it gave nothing',
        why: 'No one could log in.',
      });
    },
  ),
];
