import { secret } from '@sallyport/test-servers/tokens';
import { describe, expect, test } from 'vitest';
import { packagePath } from '../../base/package-files.ts';
import { operatorIn } from '../../testing/operator.ts';

const trick = 'x\n  fix: evil\u001b[31m';
const hiddenWords = 'They are not repeated here, since they might be secrets';
const hiddenWord = 'It is not repeated here, since it might be a secret';
const { run } = operatorIn('/nowhere');

test('--help explains the command, and exits 0', async () => {
  const { code, stdout, stderr } = await run(['--help']);
  expect([code, stderr]).toEqual([0, '']);
  expect(stdout).toMatch(/^Usage: sallyport /);
});

test.each(
  [
    ['fly'],
    ['check', '-o', 'xml'],
    ['token', 'hash'],
    ['explain', '--user', 'ci', '--audience', 'vault'],
  ].map((words) => ({ words })),
)('$words is wrong usage, and exits 2', async ({ words }) => {
  const { code, stdout, stderr } = await run(words);
  expect([code, stdout]).toEqual([2, '']);
  expect(stderr).toMatch(/^error: /);
});

test.each(['help token list', 'token list --help'])('%s explains token list', async (line) => {
  const { code, stdout } = await run(line.split(' '));
  expect([code, stdout]).toEqual([0, expect.stringMatching(/^Usage: sallyport token list /)]);
});

describe('an error of the command line says how to fix it', () => {
  test.each([
    { line: 'chek', error: `unknown command. ${hiddenWord}`, fix: 'did you mean check?' },
    { line: 'help blok', error: `unknown command. ${hiddenWord}`, fix: 'did you mean block?' },
    { line: 'blok --help', error: `unknown command. ${hiddenWord}`, fix: 'did you mean block?' },
    {
      line: 'help token lst',
      error: `unknown command after token. ${hiddenWord}`,
      fix: 'did you mean list?',
    },
    {
      line: 'check -config gateway.yaml',
      error: "unknown option '-config'",
      fix: 'did you mean --config?',
    },
    {
      line: 'blocks -o yaml',
      error: "option '-o, --output <format>' must be one of: text, json",
      fix: 'see: sallyport blocks --help',
    },
    {
      line: 'lockouts --user corp:jane',
      error: "unknown option '--user'",
      fix: 'see: sallyport explain --user corp:jane',
    },
    {
      line: 'token lost',
      error: `unknown command after token. ${hiddenWord}`,
      fix: 'did you mean list?',
    },
    {
      line: 'token move',
      error: `unknown command after token. ${hiddenWord}`,
      fix: 'see: sallyport token --help',
    },
    {
      line: 'token revoke --user ci',
      error: `unknown command after token. ${hiddenWord}`,
      fix: 'see: sallyport revoke --help',
    },
    {
      line: 'lockouts --clear',
      error: "unknown option '--clear'",
      fix: 'see: sallyport unlock --help',
    },
    {
      line: 'blocks --user corp:bob',
      error: "unknown option '--user'",
      fix: 'see: sallyport explain --user corp:jane',
    },
    {
      line: 'block --user corp:jane --until 18:00',
      error: "unknown option '--until'",
      fix: 'see: sallyport block --user corp:jane --for 8h',
    },
    {
      line: 'block --digest abcdef01 --for 8h',
      error: "unknown option '--digest'",
      fix: 'see: sallyport revoke --help',
    },
    {
      line: '--config gateway.yaml check',
      error: "unknown option '--config'",
      fix: 'see: sallyport check --config gateway.yaml',
    },
    { line: 'check-config', error: `unknown command. ${hiddenWord}`, fix: 'did you mean check?' },
    {
      line: 'token create-token',
      error: `unknown command after token. ${hiddenWord}`,
      fix: 'did you mean create?',
    },
    {
      line: 'block -u corp:jane --for 8h',
      error: "unknown option '-u'",
      fix: 'did you mean --user?',
    },
    {
      line: 'whoami',
      error: `unknown command. ${hiddenWord}`,
      fix: 'see: kubectl sallyport whoami',
    },
    {
      line: 'init /etc/sallyport renew --host gw.example.com',
      error:
        'too many arguments: init takes only <dir> and options. They are not repeated here, since they might be secrets',
      fix: 'see: sallyport init /etc/sallyport --renew',
    },
    {
      line: 'token list --session',
      error: "unknown option '--session'",
      fix: 'see: sallyport token list --help',
    },
    {
      line: 'block --user corp:jane --for 8h --by',
      error: "option '--by <name>' argument missing",
      fix: 'write a value: --by NAME',
    },
    {
      line: 'serve --host 127.0.0.1',
      error: "unknown option '--host'",
      fix: 'see: sallyport serve --listen 127.0.0.1:8080',
    },
    {
      line: 'server --config gateway.yaml',
      error: `unknown command. ${hiddenWord}`,
      fix: 'see: sallyport serve --help',
    },
    {
      line: 'factor add --user corp:jane',
      error: `unknown command after factor. ${hiddenWord}`,
      fix: 'see: sallyport factor invite --help',
    },
    {
      line: 'check gateway.yaml',
      error: `too many arguments: check takes only options. ${hiddenWords}`,
      fix: 'write for example: sallyport check --config gateway.yaml',
    },
    {
      line: 'factor list corp:jane',
      error: `too many arguments: list takes only options. ${hiddenWords}`,
      fix: 'write for example: sallyport factor list --user corp:jane',
    },
    {
      line: 'start',
      error: `unknown command. ${hiddenWord}`,
      fix: 'see: sallyport serve --help',
    },
    {
      line: 'check --colour',
      error: "unknown option '--colour'",
      fix: 'see: sallyport check --help',
    },
    { line: 'check --confg a', error: "unknown option '--confg'", fix: 'did you mean --config?' },
    {
      line: 'token hash',
      error: "required option '--user <name>' not specified",
      fix: 'write for example: sallyport token hash --user ci --generate >> tokens.yaml',
    },
    {
      line: 'unlock --user',
      error: "option '--user <name>' argument missing",
      fix: 'write for example: sallyport unlock --user corp:bob --reason "new password"',
    },
    {
      line: 'revoke --all --authenticator robots',
      error: "option '--all' cannot be used with option '--authenticator <name>'",
      fix: 'leave one of them out',
    },
  ])('$line', async ({ line, error, fix }) => {
    expect(await run(line.split(' '))).toEqual({
      code: 2,
      stdout: '',
      stderr: `error: ${error}\n  fix: ${fix}\n`,
    });
  });
});

test.each([
  { line: 'block --user a --user b --for 1h', option: '--user' },
  { line: 'check --config a --config b', option: '--config' },
  { line: 'revoke --user a --by b --by c', option: '--by' },
  { line: 'init x --login a --login b', option: '--login' },
])('$line is refused: the first $option would have no effect', async ({ line, option }) => {
  expect(await run(line.split(' '))).toEqual({
    code: 2,
    stdout: '',
    stderr: `sallyport: ${option} is given twice\n  fix: keep one, or run the command twice\n`,
  });
});

test.each([
  { line: 'block --user --for 8h', option: '--user', next: '--for', flags: '--user <name>' },
  { line: 'check --config -o json', option: '--config', next: '-o', flags: '--config <file>' },
])('$line is refused: $option has no value', async ({ line, option, next, flags }) => {
  expect(await run(line.split(' '))).toEqual({
    code: 2,
    stdout: '',
    stderr: `sallyport: ${option} has no value: the next word is ${next}\n  fix: write it before ${next}: ${flags}\n`,
  });
});

test.each(['--listen', '--admin-listen'])('a wrong value of %s names the option', async (name) => {
  const { stderr } = await run(['serve', name, '8443']);
  expect(stderr).toContain(`sallyport: ${name}: "8443" is not an address and a port up to 65535\n`);
});

test('plain HTTP on all interfaces is refused, with an address that is allowed', async () => {
  const config = packagePath('gateway.yaml');
  expect(await run(['serve', '--config', config, '--listen', ':8080'])).toEqual({
    code: 1,
    stdout: '',
    stderr: `sallyport: --listen [::]:8080: plain HTTP is allowed on loopback only\n  fix: write --listen 127.0.0.1:8080, or set server.tls in ${config}\n`,
  });
});

test('one address for token reviews and the admin server is refused before it is used', async () => {
  const config = packagePath('gateway.yaml');
  const address = '127.0.0.1:8080';
  const words = ['serve', '--config', config, '--listen', address, '--admin-listen', address];
  expect(await run(words)).toMatchObject({
    code: 1,
    stderr:
      'sallyport: --admin-listen 127.0.0.1:8080 is also the address for token reviews\n  fix: write --listen and --admin-listen with two ports\n',
  });
});

test('a single value of a list needs its option', async () => {
  const words = ['token', 'create', '--user', 'ci', '--ttl', '8h', '--group', 'dev', 'ops'];
  const { code, stderr } = await run(words);
  expect([code, stderr]).toEqual([
    2,
    expect.stringMatching(
      /\n {2}fix: repeat the option for each value: --group GROUP --group GROUP\n$/,
    ),
  ]);
});

describe('what might be a secret is not repeated', () => {
  test.each([
    { line: 'blocks', error: `too many arguments: blocks takes only options. ${hiddenWords}` },
    { line: 'block', error: `too many arguments: block takes only options. ${hiddenWords}` },
    {
      line: 'unblock --user',
      error: `too many arguments: unblock takes only options. ${hiddenWords}`,
    },
    {
      line: 'init /etc/sallyport',
      error: `too many arguments: init takes only <dir> and options. ${hiddenWords}`,
    },
    { line: 'token', error: `unknown command after token. ${hiddenWord}` },
    { line: 'help', error: `unknown command. ${hiddenWord}` },
    { line: 'explain --token', error: "unknown option '--token'" },
  ])('after $line', async ({ line, error }) => {
    // `run` throws when the secret is in the output.
    const token = secret('sometoken-of-24-letters');
    const words = [...line.split(' '), ...(line.endsWith('--user') ? ['corp:jane'] : []), token];
    const { code, stderr } = await run(words);
    expect([code, stderr]).toEqual([2, expect.stringMatching(`^error: ${error}\n  fix: `)]);
  });

  test.each([
    { line: 'explain', call: 'explain' },
    { line: 'explain --audience a', call: 'explain' },
    { line: 'explain --token', call: 'explain' },
    { line: 'explain --token=', call: 'explain' },
    { line: 'revoke', call: 'revoke --token' },
    { line: 'revoke --token', call: 'revoke --token' },
    { line: 'revoke --token=', call: 'revoke --token' },
    { line: 'block --for 1h --token', call: 'block --token --for 30d' },
    { line: 'unblock', call: 'unblock --token' },
    { line: 'token hash --user ci', call: 'token hash --user ci' },
    { line: 'token hash --user ci --group dev --audience a', call: 'token hash --user ci' },
    { line: 'token hash', call: 'token hash --user ci' },
    { line: 'audit fingerprint', call: 'audit fingerprint' },
  ])(
    'a token after "$line": how to give it is said, and that the history has it',
    async ({ line, call }) => {
      const token = secret('yet-another-token-of-32-letters');
      const words = `${line}${line.endsWith('=') ? '' : ' '}${token}`.split(' ');
      const { code, stderr } = await run(words);
      const ask = `let the command ask for the token: sallyport ${call}, or read it from a file: sallyport ${call} < FILE`;
      const history =
        "A token that you typed here is in your shell's history: delete it there, and revoke it";
      expect([code, stderr]).toEqual([2, expect.stringMatching(/^error: (?:too|unknown)/)]);
      const user = call === 'explain' ? ' For a user: sallyport explain --user NAME.' : '';
      const digest = /^(revoke|unblock)/.test(call)
        ? ' For a digest, as lists show it: --digest DIGITS.'
        : '';
      expect(stderr).toContain(`\n  fix: ${ask}.${user}${digest} ${history}\n`);
    },
  );

  test.each([
    ['-a', ''],
    ['-A', '='],
    ['--B', '='],
    ['-s', ''],
    ['-o', ''],
    ['-- -a', ''],
    ['-- --b', ''],
  ])('a token that begins with %s, and ends with "%s"', async (start, end) => {
    const token = secret(`a-token-of-36-letters-and-digits-12${end}`);
    const { code, stderr } = await run(['explain', ...`${start}${token}`.split(' ')]);
    expect([code, stderr]).toEqual([2, expect.stringMatching(/^error: (unknown|too many|option)/)]);
    expect(stderr).not.toMatch(/token-of/);
  });

  test('a token that begins like an option: the history is named', async () => {
    const { stderr } = await run(['explain', secret('-a-token-of-36-letters-and-digits-123')]);
    expect(stderr).toMatch(/^error: unknown option '-a…'\n {2}fix: let the command ask .+ history/);
  });

  test('a name in place of a token does not get that advice where names are blocked', async () => {
    expect((await run(['block', 'jane'])).stderr).not.toContain('token');
  });

  test('a token to hash for several groups in one', async () => {
    const token = secret('token-of-26-letters-abcdef');
    const words = ['token', 'hash', '--user', 'ci', '--group', 'dev,ops'];
    const { code, stderr } = await run(words, `${token}\n`);
    expect([code, stderr]).toEqual([
      0,
      'sallyport: dev,ops is one group, with a comma in its name\n  fix: if several groups are meant, drop this token, and write --group once per group\n',
    ]);
  });

  test('a token to hash that has the word of its header', async () => {
    const token = secret('bearer-token-of-30-letters-abc');
    const words = ['token', 'hash', '--user', 'ci'];
    const { code, stderr } = await run(words, `Bearer ${token}\n`);
    expect([code, stderr]).toEqual([
      1,
      'sallyport: the token contains a space or a line end, where kube-apiserver would cut it\n  fix: pipe the token alone, without the word Bearer\n',
    ]);
  });

  test('with an unknown option', async () => {
    const token = secret('another-token-of-27-letters');
    const { stderr } = await run(['explain', `--token=${token}`]);
    expect(stderr).toMatch(/^error: unknown option '--token=…'\n {2}fix: /);
  });
});

describe('a terminal does not obey what is quoted, and it has no fix', () => {
  test.each(
    [
      ['token', 'hash', '--user', 'ci', '--ttl', trick],
      ['token', 'create', '--user', 'ci', '--ttl', '8h', '--extra', trick],
      ['check', '--config', trick],
    ].map((words) => ({ words })),
  )('in $words', async ({ words }) => {
    const { stdout, stderr } = await run(words);
    expect(stdout + stderr).toMatch(/evil/);
    expect(stdout + stderr).not.toContain('\u001b');
    expect(stdout + stderr).not.toMatch(/^ {0,2}fix: evil/m);
  });
});
