import type { ConformanceHarness, RejectedToken, ValidToken } from './harness.ts';
import type { NamedSecret } from './leaks.ts';
import { verify } from './verify.ts';

/** A token with the name that a failure message uses, since messages must not print tokens. */
export interface NamedToken {
  readonly name: string;
  readonly token: string;
}

/** The harness' tokens, each with a name, since messages must not print tokens. */
export interface Samples {
  readonly valid: readonly (ValidToken & NamedToken)[];
  readonly rejected: readonly (RejectedToken & NamedToken)[];
  readonly foreign: readonly NamedToken[];
}

/** Names the harness' tokens. @throws AssertionError unless the valid ones are of two users */
export function nameSamples({
  validTokens,
  rejectedTokens,
  foreignTokens,
}: ConformanceHarness<unknown>): Samples {
  verifyTwoUsers(validTokens);
  return {
    valid: validTokens.map((valid, index) => ({ ...valid, name: `valid token ${index + 1}` })),
    rejected: rejectedTokens.map((rejected, index) => ({
      ...rejected,
      name: `rejected token ${index + 1}`,
    })),
    foreign: foreignTokens.map((token, index) => ({ token, name: `foreign token ${index + 1}` })),
  };
}

/** Fails on an empty list, with which a case would prove nothing. */
export function verifySome(list: readonly unknown[], field: string): void {
  verify(list.length > 0, {
    expected: `the harness to give ${field}`,
    actual: 'the list is empty',
    rationale: 'Nothing would be proved; skip the case with a reason if the plugin can have none.',
  });
}

/** Fails unless the tokens are of two users or more. */
export function verifyTwoUsers(tokens: readonly ValidToken[]): void {
  const users = new Set(tokens.map(({ user }) => user.username)).size;
  verify(users >= 2, {
    expected: 'the harness to give valid tokens of two users or more',
    actual: `it gives ${tokens.length}, of ${users}`,
    rationale: 'With one user no mix-up can show.',
  });
}

/** Characters of a secret. A shorter one is found by chance in any text. */
const minSecretLength = 8;

/** Returns the passwords and the tokens that no output may contain. @throws AssertionError for a password that is too short */
export function listSecrets(
  harness: ConformanceHarness<unknown>,
  samples: Samples,
): readonly NamedSecret[] {
  const passwords = harness.secrets.map((value, index) => ({ name: `secret ${index + 1}`, value }));
  for (const { name, value } of passwords) {
    verify(value.length >= minSecretLength, {
      expected: `secrets of ${minSecretLength} characters or more`,
      actual: `${name} of the harness has ${value.length}`,
      rationale: 'A short one is found by chance in any text.',
    });
  }
  const tokens = [...samples.valid, ...samples.rejected, ...samples.foreign];
  const long = tokens.filter(({ token }) => token.length >= minSecretLength);
  return [...passwords, ...long.map(({ name, token }) => ({ name, value: token }))];
}
