import { answersCase, type CaseDefinition, type Kit } from '../kit.ts';
import type { NamedToken } from '../samples.ts';

const kibibyte = 1024;

/** Makes tokens with a mistake from a valid one. A base64 decoder that drops trailing bits must not be fooled, nor fool the kit. */
export function alteredTokens({ name, token }: NamedToken): readonly NamedToken[] {
  const third = Math.max(1, Math.floor(token.length / 3));
  const altered = [
    { name: `${name} without its last third`, token: token.slice(0, -third) },
    { name: `${name} without its first third`, token: token.slice(third) },
    { name: `${name} backwards`, token: [...token].reverse().join('') },
    { name: `${name} with other characters in its middle`, token: withOtherMiddle(token) },
    { name: `${name} after an "x"`, token: `x${token}` },
  ];
  return altered.filter((alteredToken) => alteredToken.token !== token);
}

/** Moves four characters of the middle on by one, within letters and digits: bits change that no case rule undoes. */
function withOtherMiddle(token: string): string {
  const start = Math.max(0, Math.floor(token.length / 2) - 2);
  const moved = token.slice(start, start + 4).replace(/[a-y]|[A-Y]|[0-8]/g, nextCharacter);
  return token.slice(0, start) + moved.replace(/[zZ9]/g, 'a') + token.slice(start + 4);
}

function nextCharacter(character: string): string {
  return String.fromCharCode(character.charCodeAt(0) + 1);
}

/** Makes tokens that are larger than any real one. */
export function hugeTokens({ name, token }: NamedToken): readonly NamedToken[] {
  return [
    { name: 'a token of 16 KiB', token: 'a'.repeat(16 * kibibyte) },
    { name: 'a token of 1 MiB', token: 'a'.repeat(kibibyte * kibibyte) },
    { name: `${name} with 16 KiB more`, token: token + 'A'.repeat(16 * kibibyte) },
    { name: `${name} with 1 MiB more`, token: token + 'A'.repeat(kibibyte * kibibyte) },
  ];
}

/** Makes tokens with a NUL. C strings end there, so what follows it must not be ignored. */
export function nulTokens({ name, token }: NamedToken): readonly NamedToken[] {
  return [
    { name: 'a NUL', token: '\0' },
    { name: `${name} with a NUL behind it`, token: `${token}\0` },
    { name: `${name} with a NUL and more behind it`, token: `${token}\0x` },
    { name: `${name} with a NUL before it`, token: `\0${token}` },
  ];
}

/**
 * Makes ill-formed tokens. The gateway turns invalid UTF-8 into U+FFFD; a careless caller of the plugin may pass a lone
 * surrogate.
 */
export function illFormedTokens({ name, token }: NamedToken): readonly NamedToken[] {
  return [
    { name: 'a lone high surrogate', token: '\ud800' },
    { name: `${name} with a lone low surrogate behind it`, token: `${token}\udc00` },
    { name: `${name} with a lone high surrogate before it`, token: `\ud800${token}` },
    { name: 'a U+FFFD', token: '\ufffd' },
    { name: `${name} with a U+FFFD behind it`, token: `${token}\ufffd` },
  ];
}

/** These names are found by a lookup in a plain object. */
export const memberTokens: readonly NamedToken[] =
  '__proto__ constructor toString valueOf hasOwnProperty prototype length 0 undefined null true NaN'
    .split(' ')
    .map(nameByText);

/**
 * These tokens mean something in a query language, a pattern, a path or a text protocol. The gateway passes no empty token, but
 * none may be let in.
 */
export const injectionTokens: readonly NamedToken[] = [
  '',
  ' ',
  '*',
  '.*',
  '%',
  '?',
  '*)(uid=*))(|(uid=*',
  "' OR '1'='1",
  '../../../../etc/passwd',
  '/dev/null',
  '%00',
  'x\r\nPING\r\n',
  'x\n',
  ':',
  '::',
  'a:',
  ':a',
].map(nameByText);

/**
 * These tokens are names without a password. On many directories a bind with an empty password is an anonymous bind, and
 * succeeds.
 */
export const encodedTokens: readonly NamedToken[] = [
  ':',
  'admin:',
  'root:',
  ':admin',
  '\0:\0',
  '*:*',
].map((text) => ({
  name: `base64url of ${JSON.stringify(text)}`,
  token: Buffer.from(text).toString('base64url'),
}));

/** Makes well-formed tokens of other authenticators in the chain, unsigned or signed by a key that is unknown here. */
export function foreignJwts(subject: string): readonly NamedToken[] {
  const claims = {
    iss: 'https://issuer.invalid',
    sub: subject,
    name: subject,
    aud: ['api'],
    exp: 4_102_444_800,
  };
  const jwt = (header: object, signature: string) =>
    `${encodePart(header)}.${encodePart(claims)}.${signature}`;
  return [
    { name: 'a JWT without signature (alg none)', token: jwt({ alg: 'none', typ: 'JWT' }, '') },
    {
      name: 'a JWT with a forged signature',
      token: jwt({ alg: 'HS256', typ: 'JWT' }, 'A'.repeat(43)),
    },
    {
      name: 'a JWT of a service account',
      token: jwt({ alg: 'RS256', kid: 'unknown' }, 'A'.repeat(342)),
    },
  ];
}

function encodePart(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

function nameByText(token: string): NamedToken {
  return { name: `the token ${JSON.stringify(token)}`, token };
}

const forAllValid = (make: (valid: NamedToken) => readonly NamedToken[]) => (kit: Kit) =>
  kit.tokens.valid.flatMap(make);

/** Each kind exploits a mistake: comparing a part, C strings, a plain object for a map, an unverified JWT. */
const kinds: readonly {
  readonly name: string;
  readonly tokens: (kit: Kit) => readonly NamedToken[];
}[] = [
  { name: 'valid tokens with a mistake in them', tokens: forAllValid(alteredTokens) },
  { name: 'tokens of 16 KiB and 1 MiB', tokens: forAllValid(hugeTokens) },
  { name: 'tokens with a NUL', tokens: forAllValid(nulTokens) },
  { name: 'tokens of ill-formed Unicode', tokens: forAllValid(illFormedTokens) },
  { name: 'tokens that are names of object members', tokens: () => memberTokens },
  { name: 'tokens that are queries, patterns or paths', tokens: () => injectionTokens },
  {
    name: 'encoded names without a password',
    tokens: (kit) => [...encodedTokens, ...namesWithoutPassword(kit)],
  },
  {
    name: 'JWTs of other issuers',
    tokens: ({ harness }) => harness.validTokens.flatMap(({ user }) => foreignJwts(user.username)),
  },
];

function namesWithoutPassword({ harness }: Kit): readonly NamedToken[] {
  return harness.validTokens.flatMap(({ user }) => [
    { name: `the name ${user.username} as it is`, token: user.username },
    {
      name: `base64url of "${user.username}:"`,
      token: Buffer.from(`${user.username}:`).toString('base64url'),
    },
  ]);
}

export const forgedTokensCases: readonly CaseDefinition[] = kinds.map(({ name, tokens }) =>
  answersCase(`${name} never authenticate and never throw`, {
    tokens,
    expectedInstead: ({ kind }) => (kind === 'authenticated' ? 'not to authenticate' : undefined),
    rationale: 'This token was never issued.',
  }),
);
