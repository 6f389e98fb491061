import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { conformanceCases, type ValidToken } from '@sallyport/authenticator/conformance';
import { afterAll, test } from 'vitest';
import plugin from './index.ts';
import { digestToken } from './token-file.ts';

const baseDirectory = mkdtempSync(path.join(tmpdir(), 'static-'));
afterAll(() => rmSync(baseDirectory, { recursive: true }));

const randomToken = () => randomBytes(32).toString('base64url');
const [expired, early] = [randomToken(), randomToken()];
const users: ValidToken[] = Array.from({ length: 150 }, (_, index) => ({
  token: randomToken(),
  user: { username: `robot-${index}`, uid: `${index}`, groups: ['robots', `team-${index}`] },
}));

const entries = users
  .slice(0, 100)
  .map(({ token, user }) => ({ sha256: digestToken(token), ...user }));
const refused = [
  { sha256: digestToken(expired), username: 'former', expiresAt: '2020-01-01T00:00:00Z' },
  { sha256: digestToken(early), username: 'future', notBefore: '2999-01-01T00:00:00Z' },
];
// JSON is YAML.
writeFileSync(
  path.join(baseDirectory, 'tokens.yaml'),
  JSON.stringify({ tokens: [...entries, ...refused] }),
);
const rows = users
  .slice(100)
  .map(({ token, user }) => `${token},${user.username},${user.uid},"${user.groups?.join()}"\n`);
writeFileSync(path.join(baseDirectory, 'tokens.csv'), rows.join(''));

const shapeless = 'a static token may look like anything';

const cases = conformanceCases({
  plugin,
  options: { tokensFile: 'tokens.yaml', tokenAuthFile: 'tokens.csv' },
  badOptions: [
    { options: {}, key: 'tokensFile' },
    { options: { tokensFile: 7 }, key: 'tokensFile' },
    { options: { tokenAuthFile: '' }, key: 'tokenAuthFile' },
  ],
  baseDirectory,
  validTokens: [...users.slice(0, 2), ...users.slice(-2)],
  manyTokens: async (count) => users.slice(0, count),
  rejectedTokens: [
    { token: expired, reason: 'expired', subject: 'former' },
    { token: early, reason: 'not-yet-valid', subject: 'future' },
  ],
  foreignTokens: [randomToken(), 'alice:password'],
  secrets: [],
  backend: { none: 'the tokens are in memory' },
  looksUpUsers: true,
  sendsPasswords: false,
  watchesFiles: true,
  skip: {
    'recognizes() is true for every token of its own': shapeless,
    'recognizes() answers any string with a boolean, and the same one each time': shapeless,
    'recognizes() is quick, however the token is made': shapeless,
  },
});

// Cases that are skipped above, or need a backend, are left out: a skipped test would stop the CI.
for (const { name, skip, run } of cases) if (skip === undefined) test(name, run);
