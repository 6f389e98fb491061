import type { CaseDefinition } from './case-definition.ts';
import {
  alteredTokens,
  encodedTokens,
  foreignJwts,
  hugeTokens,
  illFormedTokens,
  injectionTokens,
  memberTokens,
  type NamedToken,
  nulTokens,
} from './hostile-tokens.ts';
import type { Kit } from './kit.ts';
import { verify } from './verdict.ts';

const forAllValid = (make: (valid: NamedToken) => readonly NamedToken[]) => (kit: Kit) =>
  kit.tokens.valid.flatMap(make);

/** Each kind has its way of slipping through: comparing a part, C strings, a plain object for a map, an unverified JWT. */
const kinds: readonly { readonly name: string; readonly tokens: (kit: Kit) => readonly NamedToken[] }[] = [
  { name: 'valid tokens with a mistake in them', tokens: forAllValid(alteredTokens) },
  { name: 'tokens of 16 KiB and 1 MiB', tokens: forAllValid(hugeTokens) },
  { name: 'tokens with a NUL', tokens: forAllValid(nulTokens) },
  { name: 'tokens of ill-formed Unicode', tokens: forAllValid(illFormedTokens) },
  { name: 'tokens that are names of object members', tokens: () => memberTokens },
  { name: 'tokens that are queries, patterns or paths', tokens: () => injectionTokens },
  { name: 'encoded names without a password', tokens: (kit) => [...encodedTokens, ...namesWithoutPassword(kit)] },
  {
    name: 'JWTs of other issuers',
    tokens: ({ harness }) => harness.validTokens.flatMap(({ user }) => foreignJwts(user.username)),
  },
];

function namesWithoutPassword({ harness }: Kit): readonly NamedToken[] {
  return harness.validTokens.flatMap(({ user }) => [
    { name: `the name ${user.username} as it is`, token: user.username },
    { name: `base64url of "${user.username}:"`, token: Buffer.from(`${user.username}:`).toString('base64url') },
  ]);
}

async function neverLetIn(kit: Kit, tokens: readonly NamedToken[]): Promise<void> {
  const authenticator = await kit.create();
  for (const named of tokens) {
    const outcome = await kit.outcome(authenticator, named);
    verify('value' in outcome, {
      expected: `${named.name} to be refused or left to others`,
      got: `authenticate() threw ${kit.tell('error' in outcome && outcome.error)}`,
      why: 'A throw is an outage: a few made-up tokens would open the circuit for everybody.',
    });
    verify(outcome.value?.kind !== 'authenticated', {
      expected: `${named.name} not to authenticate`,
      got: `the answer was ${kit.tell(outcome.value)}`,
      why: 'Nobody was given this token.',
    });
  }
}

export const hostileCases: readonly CaseDefinition[] = kinds.map(({ name, tokens }) => ({
  name: `${name} never authenticate and never throw`,
  run: (kit) => neverLetIn(kit, tokens(kit)),
}));
