import type { Authenticator } from '../../authenticator.ts';
import {
  alteredTokens,
  encodedTokens,
  hugeTokens,
  illFormedTokens,
  injectionTokens,
  memberTokens,
  nulTokens,
} from '../authenticator/forged-tokens.ts';
import { authenticatorCase, type CaseDefinition, type Kit } from '../kit.ts';
import type { NamedToken } from '../samples.ts';
import { catchOutcome, verify } from '../verify.ts';

/**
 * Milliseconds of CPU of one call. The contract says microseconds: this catches only time that grows with the square of the
 * length.
 */
const maxMilliseconds = 100;

/** Fails when a call took longer than any token should take. */
export function mustBeQuick(expectation: string, milliseconds: number): void {
  verify(milliseconds < maxMilliseconds, {
    expected: `${expectation} within microseconds`,
    actual: `it took ${Math.round(milliseconds)}ms`,
    rationale:
      'All reviews wait for it: one caller with a crafted token would stop the gateway (ReDoS).',
  });
}

function requireRecognizes(authenticator: Authenticator): (token: string) => unknown {
  verify(authenticator.recognizes, {
    expected: 'the authenticator to have recognizes()',
    actual: 'it is left out',
    rationale:
      'Without it every token waits for this backend; skip the case with a reason if its tokens have no common shape.',
  });
  return (token) => authenticator.recognizes?.(token);
}

/** Returns valid, foreign and forged tokens: a method that is called with any token must answer them all. */
export function anyStrings({ tokens }: Kit): readonly NamedToken[] {
  const makers = [alteredTokens, hugeTokens, nulTokens, illFormedTokens];
  const forged = tokens.valid.flatMap((valid) => makers.flatMap((make) => make(valid)));
  return [
    ...tokens.valid,
    ...tokens.foreign,
    ...forged,
    ...memberTokens,
    ...injectionTokens,
    ...encodedTokens,
  ];
}

/** Makes tokens with long runs, which a nested quantifier may split in many ways, and an end that does not match. */
export function tiringTokens({ tokens }: Kit): readonly NamedToken[] {
  const starts = ['', ...tokens.valid.map(({ token }) => token)];
  const runs = ['a', '0', '=', '.', ':', '-', '_', ' ', 'a.', 'ab:', 'aA0-'];
  return starts.flatMap((start, index) =>
    runs.map((run) => ({
      name: `${index === 0 ? 'a token' : `valid token ${index}`} with 16 KiB of "${run}" and a "!" behind it`,
      token: `${start}${run.repeat(16_384 / run.length)}!`,
    })),
  );
}

/**
 * Returns the milliseconds of CPU that this thread has used; before Node 23.9, the process. A busy machine does not change
 * them.
 */
function cpuMilliseconds(): number {
  const { user, system } = (process.threadCpuUsage ?? process.cpuUsage)();
  return (user + system) / 1000;
}

/** Calls three times. The time is the minimum, since garbage may be collected during one of the calls. */
export function thrice<T>(call: () => T): {
  readonly answers: readonly T[];
  readonly milliseconds: number;
} {
  const times = [1, 2, 3].map(() => {
    const start = cpuMilliseconds();
    return { answer: call(), milliseconds: cpuMilliseconds() - start };
  });
  return {
    answers: times.map(({ answer }) => answer),
    milliseconds: Math.min(...times.map(({ milliseconds }) => milliseconds)),
  };
}

export const recognizingCases: readonly CaseDefinition[] = [
  authenticatorCase(
    'recognizes() is true for every token of its own',
    async (kit, authenticator) => {
      const recognizes = requireRecognizes(authenticator);
      for (const { name, token } of [...kit.tokens.valid, ...kit.tokens.rejected]) {
        verify(recognizes(token) === true, {
          expected: `recognizes() to be true of ${name}`,
          actual: 'it was not',
          rationale:
            'The gateway never asks an authenticator about a token that it does not recognize.',
        });
      }
    },
  ),
  authenticatorCase(
    'recognizes() answers any string with a boolean, and the same one each time',
    async (kit, authenticator) => {
      const recognizes = requireRecognizes(authenticator);
      for (const { name, token } of anyStrings(kit)) {
        const outcome = await catchOutcome(() => thrice(() => recognizes(token)));
        verify('value' in outcome, () => ({
          expected: `recognizes() not to throw on ${name}`,
          actual: `it threw ${kit.show('error' in outcome && outcome.error)}`,
          rationale:
            'It runs before everything else, so its throw would end reviews that concern other authenticators.',
        }));
        const { answers } = outcome.value;
        const isPlain = answers.every(
          (answer) => typeof answer === 'boolean' && answer === answers[0],
        );
        verify(isPlain, () => ({
          expected: `recognizes() to give one boolean for ${name}`,
          actual: `it gave ${kit.show(answers)}`,
          rationale:
            'A promise counts as true, and a regular expression with the flag g remembers its last match.',
        }));
      }
    },
  ),
  authenticatorCase(
    'recognizes() is quick, however the token is made',
    async (kit, authenticator) => {
      const recognizes = requireRecognizes(authenticator);
      for (const { name, token } of [...anyStrings(kit), ...tiringTokens(kit)]) {
        mustBeQuick(`recognizes() to answer ${name}`, thrice(() => recognizes(token)).milliseconds);
      }
    },
  ),
  authenticatorCase(
    'whyUnrecognized() answers any string that is not recognized with words or nothing, and quotes no token',
    async (kit, authenticator) => {
      if (authenticator.whyUnrecognized === undefined) return;
      for (const { name, token } of anyStrings(kit)) {
        if (authenticator.recognizes?.(token) !== false) continue;
        const outcome = await catchOutcome(() => authenticator.whyUnrecognized?.(token));
        const words = 'value' in outcome ? outcome.value : undefined;
        const isWords =
          words === undefined ||
          (typeof words === 'string' && words !== '' && words.length <= 1_000);
        verify('value' in outcome && isWords, () => ({
          expected: `whyUnrecognized() to give up to 1,000 characters, or nothing, for ${name}`,
          actual:
            'error' in outcome
              ? `it threw ${kit.show(outcome.error)}`
              : `it gave ${kit.show(words)}`,
          rationale: 'Operators read it in a row of what `sallyport explain` prints.',
        }));
        kit.mustBeSilent(`what whyUnrecognized() says of ${name}`, words);
      }
    },
  ),
  authenticatorCase(
    'tokenPrefix begins every token of its own, or is left out',
    async (kit, authenticator) => {
      const { tokenPrefix = '' } = authenticator;
      const isPrefix = kit.tokens.valid.every(({ token }) => token.startsWith(tokenPrefix));
      verify(isPrefix, {
        expected: 'tokenPrefix to be what every token of its own begins with, or left out',
        actual: `it is ${kit.show(tokenPrefix)}`,
        rationale:
          "With it `sallyport check` finds authenticators that recognize each other's tokens.",
      });
    },
  ),
];
