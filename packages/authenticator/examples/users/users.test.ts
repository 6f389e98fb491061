import { randomUUID, scryptSync } from 'node:crypto';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { conformanceCases } from '@sallyport/authenticator/conformance';
import plugin from './users.ts';

const baseDirectory = mkdtempSync(join(tmpdir(), 'users-'));
const passwords = {
  alice: randomUUID(),
  bob: randomUUID(),
  carol: randomUUID(),
  wrong: randomUUID(),
};
const tokenOf = (name: string, password: string) =>
  `users_${Buffer.from(`${name}:${password}`).toString('base64url')}`;

// The cases make 150 concurrent calls.
const work = 8;
const accountOf = (name: 'alice' | 'bob' | 'carol') => {
  const salt = randomUUID();
  const hash = scryptSync(passwords[name], salt, 32, {
    cost: 2 ** work,
    parallelization: 5,
  }).toString('hex');
  const passwordChanged = '2026-01-01T00:00:00Z';
  return {
    uid: `${name}-1`,
    groups: [`${name}-team`],
    salt,
    hash,
    disabled: name === 'carol',
    passwordChanged,
  };
};
const users = { alice: accountOf('alice'), bob: accountOf('bob'), carol: accountOf('carol') };
writeFileSync(join(baseDirectory, 'users.json'), JSON.stringify(users), { mode: 0o600 });

const cases = conformanceCases({
  plugin,
  options: { usersFile: 'users.json', work },
  badOptions: [
    { options: { work }, key: 'usersFile' },
    { options: { usersFile: 'missing.json', work }, key: 'usersFile' },
    { options: { usersFile: 'users.json', work: 20 }, key: 'work' },
  ],
  baseDirectory,
  validTokens: (['alice', 'bob'] as const).map((name) => ({
    token: tokenOf(name, passwords[name]),
    user: { username: name, uid: `${name}-1`, groups: [`${name}-team`] },
  })),
  rejectedTokens: [
    { token: tokenOf('alice', passwords.wrong), reason: 'invalid-credentials', subject: 'alice' },
    { token: tokenOf('nobody', passwords.wrong), reason: 'invalid-credentials' },
    { token: tokenOf('carol', passwords.carol), reason: 'disabled', subject: 'carol' },
  ],
  foreignTokens: [randomUUID()],
  secrets: Object.values(passwords),
  backend: { none: 'the users are in memory' },
  sendsPasswords: true,
  watchesFiles: true,
  looksUpUsers: true,
  revalidation: { refused: [{ user: { username: 'carol', uid: 'carol-1' }, reason: 'disabled' }] },
});

for (const { name, skip = false, run } of cases) test(name, { skip }, run);
