import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { accountFiles, accounts, tokensOfUsers } from './testing/accounts.ts';
import { runCommand } from './testing/command.ts';
import { configFolder } from './testing/config-folder.ts';
import { randomToken } from './testing/tokens.ts';

const jane = { username: 'jane', groups: ['admins', 'staff'] };

interface Finding {
  readonly check: string;
  readonly result: string;
  readonly detail: string;
}

/** Runs commands with these authenticators. */
async function place(authenticators: readonly object[], files: Readonly<Record<string, string>>) {
  const folder = await configFolder({ authenticators }, files);
  const env = { SALLYPORT_CONFIG: join(folder, 'gateway.yaml') };
  return (words: readonly string[], input = '') => runCommand(words, { cwd: folder, env }, input);
}

describe('check', () => {
  const checked = async (authenticators: readonly object[], users: readonly object[] = [jane]) => {
    const tokens = Object.fromEntries(users.map((user) => [randomToken(), user]));
    const run = await place(authenticators, accountFiles(tokens, { jane }));
    const { code, stdout } = await run(['check', '-o', 'json']);
    const findings: readonly Finding[] = JSON.parse(stdout).findings;
    const shown = findings.filter(({ result }) => result !== 'ok');
    return [code, ...shown.map(({ check, result, detail }) => `${check} ${result}: ${detail}`)];
  };
  const used = (name: string, use: string) =>
    `authenticator ${name} warning: FOLDER/accounts.mjs: its backend works, but: the config uses it so: ${use}`;
  const withoutFolder = (one: unknown) =>
    String(one).replaceAll(/\/\S*\/(?=accounts\.mjs|gateway\.yaml)/g, 'FOLDER/');

  test('says to each plugin how the config uses it', async () => {
    const directory = { authenticator: 'corp', by: { extra: 'mail' } };
    const found = await checked([
      accounts('oidc', { directory, groups: {} }),
      accounts('corp'),
      accounts('other'),
    ]);
    expect(found.map(withoutFolder)).toEqual([
      '0',
      used('oidc', '{"lookedUpBy":{"extra":"mail"}}'),
      used('corp', '{"isDirectory":true}'),
      used('other', '{}'),
    ]);
  });

  test('warns of users who do not have what they are looked up by', async () => {
    const ada = { username: 'ada', uid: '7' };
    const found = await checked(
      [tokensOfUsers('oidc', { by: 'uid' }), accounts('corp')],
      [ada, jane],
    );
    expect(found).toContain(
      "authenticator oidc warning: @sallyport/authenticator-static: 1 of its users can't be looked up in corp, since they don't have a uid: jane: " +
        'set the option of oidc that gives its users a uid, or another directory.by',
    );
  });

  test('finds a directory that can not look users up, as serve does', async () => {
    const authenticators = [tokensOfUsers('oidc'), accounts('corp', {}, { withoutLookUp: true })];
    const found = await checked(authenticators);
    const problem =
      "authenticator oidc (@sallyport/authenticator-static): corp can't look users up for others (its plugin has no lookUp)";
    expect(found.map(withoutFolder).filter((one) => one.startsWith('directory'))).toEqual([
      `directory error: FOLDER/gateway.yaml:9:22: authenticators[0].directory.authenticator: ${problem}: ` +
        'write the name of an authenticator that can look users up, such as one with use: ldap',
    ]);
    const run = await place(authenticators, accountFiles({ [randomToken()]: jane }, { jane }));
    const { code, stderr } = await run(['serve']);
    expect([found[0], code]).toEqual([1, 1]);
    expect(stderr).toContain(problem);
  });

  test.each([
    [
      'itself',
      [accounts('oidc', { directory: { authenticator: 'oidc' } })],
      'is this authenticator itself',
    ],
    [
      'no one',
      [tokensOfUsers('oidc'), accounts('crop')],
      '"corp" is not an authenticator of this file: did you mean crop?',
    ],
    [
      'one that has a directory of its own',
      [tokensOfUsers('oidc'), accounts('corp', { directory: { authenticator: 'oidc' } })],
      'corp has a directory of its own',
    ],
  ])('finds a directory that is %s', async (_name, authenticators, problem) => {
    const [code, ...found] = await checked(authenticators);
    expect(code).toBe(1);
    expect(found.join('\n')).toContain(`authenticators[0].directory.authenticator: ${problem}`);
  });
});
