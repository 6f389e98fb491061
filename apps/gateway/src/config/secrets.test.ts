import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { fillSecrets, placeholder, withholdSecrets } from './secrets.ts';
import { type ConfigFolder, configFolder } from './testing/config-folder.ts';

const path = ['authenticators', 0, 'options'];

function fill(folder: ConfigFolder, options: unknown, environment: Record<string, string> = {}) {
  return fillSecrets(options, path, { environment, baseDirectory: folder.path });
}

describe('references', () => {
  test('are replaced at any depth, and their files are listed', async () => {
    await using folder = await configFolder();
    const [inEnvironment, inFile] = [
      randomBytes(16).toString('hex'),
      randomBytes(16).toString('hex'),
    ];
    await folder.write('secrets/ldap', `${inFile}\n`);
    const options = {
      url: { env: 'URL' },
      deep: [{ password: { file: 'secrets/ldap' } }],
      port: 1,
    };
    expect(await fill(folder, options, { URL: inEnvironment })).toEqual({
      value: { url: inEnvironment, deep: [{ password: inFile }], port: 1 },
      problems: [],
      warnings: [],
      files: [join(folder.path, 'secrets/ldap')],
      secrets: [inEnvironment, inFile],
    });
  });

  test.each([
    ['a\n', 'a', 0],
    ['a\r\n', 'a', 0],
    ['a\n\n', 'a\n', 1],
    ['a\r\n\r\n', 'a\r\n', 1],
    [' a ', ' a ', 0],
    ['a\nb', 'a\nb', 0],
  ])(
    'of the file content %j the secret is %j, with %i warnings',
    async (content, secret, count) => {
      await using folder = await configFolder();
      await folder.write('s', content);
      const { value, warnings } = await fill(folder, { a: { file: 's' } });
      expect(value).toEqual({ a: secret });
      const message = `the file ${join(folder.path, 's')} ends with several line ends, and all but the last are part of the secret`;
      const warning = { path: [...path, 'a'], message, fix: 'remove the empty lines at its end' };
      expect(warnings).toEqual(count === 0 ? [] : [warning]);
    },
  );

  test('are maps of exactly one key with a text: others are the plugin’s own', async () => {
    await using folder = await configFolder();
    const options = {
      a: { env: 'A', more: 1 },
      b: { file: 1 },
      c: { env: null },
      d: { other: 'A' },
      e: {},
      f: [],
    };
    expect(await fill(folder, options, { A: 'x' })).toEqual({
      value: options,
      ...{ problems: [], warnings: [], files: [], secrets: [] },
    });
  });

  test('are never the options as a whole', async () => {
    await using folder = await configFolder();
    expect(await fill(folder, { file: 'tokens.yaml' })).toMatchObject({
      value: { file: 'tokens.yaml' },
      files: [],
    });
  });
});

describe('problems name the path and what is missing', () => {
  test.each([
    {
      name: 'unset',
      reference: { env: 'NOT_SET' },
      message: 'the environment variable NOT_SET is not set',
    },
    {
      name: 'empty',
      reference: { env: 'EMPTY' },
      message: 'the environment variable EMPTY is empty',
    },
    {
      name: 'inherited',
      reference: { env: 'toString' },
      message: 'the environment variable toString is not set',
    },
    { name: 'no name', reference: { env: '' }, message: 'env is empty' },
    { name: 'no file name', reference: { file: '' }, message: 'file is empty' },
    {
      name: 'no file',
      reference: { file: 'none' },
      message: "FOLDER/none can't be read: there is no such file",
    },
    {
      name: 'an empty file',
      reference: { file: 'empty' },
      message: 'the file FOLDER/empty is empty',
    },
    {
      name: 'only a newline',
      reference: { file: 'newline' },
      message: 'the file FOLDER/newline is empty',
    },
    {
      name: 'the text of init',
      reference: { file: 'init' },
      message: 'the file FOLDER/init still contains the text that init wrote',
    },
    { name: 'a folder', reference: { file: '.' }, message: 'FOLDER is a folder' },
    {
      name: 'a big file',
      reference: { file: 'big' },
      message: 'FOLDER/big must be at most 64 KiB',
    },
    {
      name: 'no UTF-8',
      reference: { file: 'binary' },
      message: 'FOLDER/binary is not valid UTF-8: see byte 1 of line 1',
    },
  ])('$name', async ({ reference, message }) => {
    await using folder = await configFolder();
    await folder.write('empty', '');
    await folder.write('newline', '\n');
    await folder.write('init', `${placeholder}\n`);
    await folder.write('big', 'x'.repeat(64 * 1024 + 1));
    await folder.write('binary', new Uint8Array([0xff, 0xfe]));
    const { problems } = await fill(folder, { bind: [{ password: reference }] }, { EMPTY: '' });
    const expected = message.replace('FOLDER', folder.path);
    expect(problems).toEqual([
      { path: [...path, 'bind', 0, 'password'], message: expected, fix: expect.any(String) },
    ]);
  });

  test.each(['~/key', `\${CREDENTIALS_DIRECTORY}/key`, '$HOME/key', 'file:///etc/key'])(
    'the path %s is not replaced, and the fix says so',
    async (file) => {
      await using folder = await configFolder();
      const { problems } = await fill(folder, { a: { file } });
      expect(problems.map(({ fix }) => fix)).toEqual([
        'write the path itself: ~, variables and URLs mean nothing in a path (relative paths start at the folder of the config file)',
      ]);
    },
  );

  test('a file may have 64 KiB', async () => {
    await using folder = await configFolder();
    await folder.write('big', 'x'.repeat(64 * 1024));
    expect((await fill(folder, { a: { file: 'big' } })).problems).toEqual([]);
  });

  test('a file that is missing is listed as one to watch', async () => {
    await using folder = await configFolder();
    expect((await fill(folder, { a: { file: 'none' } })).files).toEqual([
      join(folder.path, 'none'),
    ]);
  });
});

test('a text that quotes a secret in any usual spelling is withheld', () => {
  const secret = `a"b ${randomBytes(8).toString('hex')}`;
  for (const spelling of [secret, JSON.stringify(secret), encodeURIComponent(secret)]) {
    expect(withholdSecrets(`"${spelling}" is not a URL`, [secret], 'withheld')).not.toContain(
      spelling,
    );
  }
  expect(withholdSecrets('is not a URL', [secret], 'withheld')).toBe('is not a URL');
});
