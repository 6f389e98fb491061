import { redisForFile } from '@sallyport/test-servers/redis-for-file';
import { randomToken, sha256 } from '@sallyport/test-servers/tokens';
import { beforeEach, expect, test } from 'vitest';
import { awayEntry, createBlockPlace, robotsEntry, staticEntry } from './testing/block-place.ts';

// No gateway runs here.

const redis = await redisForFile();
beforeEach(async () => {
  await redis.client().flushall();
  // The Redis is not new, so that commands say nothing about that.
  await redis.client().set('sallyport:{revocations}:revision', 'begun');
});

const corp = { ...awayEntry, name: 'corp', username: { prefix: 'corp:' } };

const mistyped = (user: string, groupFix = '') =>
  `sallyport: no authenticator of this config knows user ${user}: was the name mistyped? The command was run in any case\n  fix: if so, run it again with the name that kubectl auth whoami shows the user, or that the log has as username${groupFix}\n`;

test('a user whom no authenticator knows is blocked with a remark, and one whom a directory that is away may know', async () => {
  const ops = { ...staticEntry, name: 'ops', username: { prefix: 'ops:' } };
  await using place = await createBlockPlace([ops, corp, robotsEntry(redis.url)], redis.url);
  for (const { name, remark } of [
    { name: 'ops:ada', remark: '' },
    {
      name: 'ops:eve',
      remark: mistyped(
        'ops:eve',
        `. If it is a group, run: sallyport block --group ops:eve --for 60m --config ${place.config}`,
      ),
    },
    {
      name: 'corp:eve',
      remark: expect.stringMatching(
        /^sallyport: the name corp:eve was not checked: corp .*refused.*\. The command was run in any case/,
      ),
    },
    { name: 'robot:eve', remark: '' },
  ]) {
    expect(await place.run(['block', '--user', name, '--for', '1h', '--expect', '0'])).toEqual({
      code: 0,
      stdout: expect.stringContaining(`blocked user ${name} until`),
      stderr: remark,
    });
  }
  // Replicas forget what they have cached of a user without tokens.
  const revoked = await place.run(['revoke', '--user', 'ops:ada', '--expect', '0']);
  expect(revoked).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('\nThe block of user ops:ada stays in force until '),
    stderr:
      'sallyport: no token of user ops:ada: no authenticator of this config issues such tokens\n',
  });
  for (const command of ['revoke', 'unlock']) {
    const { code, stderr } = await place.run([command, '--user', 'ops:eve', '--expect', '0']);
    expect([command, code, stderr.endsWith(mistyped('ops:eve'))]).toEqual([command, 3, true]);
  }
});

test('a name without a prefix is refused, unless it is meant to be exact', async () => {
  const more = robotsEntry(redis.url, { name: 'more', username: { prefix: 'sp:' } });
  const breakGlass = { ...staticEntry, name: 'break-glass' };
  const authenticators = [robotsEntry(redis.url), more, breakGlass];
  await using place = await createBlockPlace(authenticators, redis.url);
  for (const { words, option, name, candidates } of [
    {
      words: ['block', '--for', '1h'],
      option: '--user',
      name: 'jane',
      candidates: ['robot:jane', 'sp:jane'],
    },
    { words: ['unblock'], option: '--user', name: 'jane', candidates: ['robot:jane', 'sp:jane'] },
    { words: ['block', '--for', '1h'], option: '--group', name: 'dev', candidates: ['team:dev'] },
  ]) {
    const { code, stdout, stderr } = await place.run([...words, option, name]);
    expect([words, code, stdout]).toEqual([words, 2, '']);
    expect(stderr).toContain(
      `sallyport: nothing was done: ${option} ${name} doesn't begin with a prefix of this config`,
    );
    const lines = [...candidates, `${name} --exact`].map(
      (candidate) => `\n    ${option} ${candidate}`,
    );
    // For users, the answer of each authenticator follows as a comment for a shell.
    const list = stderr.replaceAll(/ +# not known: [\w-]+/g, '');
    expect(list.endsWith(`write one of these:${lines.join('')}\n`)).toBe(true);
    expect(stderr.includes('# not known: robots')).toBe(option === '--user');
  }
  for (const { subject, remark } of [
    {
      subject: ['--user', 'jane'],
      remark: mistyped(
        'jane',
        `. If it is a group, run: sallyport block --group jane --for 60m --exact --config ${place.config}`,
      ),
    },
    { subject: ['--group', 'dev'], remark: '' },
  ]) {
    const words = ['block', ...subject, '--exact', '--for', '1h', '--expect', '0'];
    const { code, stdout, stderr } = await place.run(words);
    expect([code, stderr]).toEqual([0, remark]);
    expect(stdout).toContain('\nno gateway has confirmed it: it takes effect when one starts.\n');
    expect(stdout).toContain(`sallyport unblock ${subject.join(' ')} --exact`);
  }
  // The refused commands had no effect.
  expect(await place.json('blocks')).toMatchObject({
    blocks: [{ name: 'dev' }, { name: 'jane' }],
  });
  const unblock = ['unblock', '--user', 'jane', '--exact', '--wait', '0'];
  expect(await place.run([...unblock, '--expect', '0'])).toMatchObject({ code: 0 });
  expect(await place.run(unblock)).toMatchObject({
    code: 1,
    stdout: expect.stringContaining('\nno gateway has confirmed it: '),
    stderr: expect.stringMatching(
      /^sallyport: no gateway is noted in this Redis, .*\n {2}fix: .*\n$/,
    ),
  });
});

test('a block of a group that groups.allow drops says that it refuses no one', async () => {
  const groups = { prefix: 'team:', allow: ['ops', 'k8s-*'] };
  const people = robotsEntry(redis.url, { name: 'people', username: { prefix: 'sp:' }, groups });
  const other = { ...robotsEntry(redis.url), groups: { prefix: 'group:' } };
  await using place = await createBlockPlace([people, other], redis.url);
  const blockGroup = (group: string) =>
    place.run(['block', '--group', group, '--exact', '--for', '1h', '--expect', '0']);
  expect(await blockGroup('team:dev')).toMatchObject({
    code: 0,
    stdout: expect.stringContaining(': any user who had it would be refused, '),
    stderr: expect.stringMatching(
      /^sallyport: no user has the group team:dev in Kubernetes: groups\.allow of authenticator people drops it, so this block refuses no one\n {2}fix: /,
    ),
  });
  for (const group of ['team:ops', 'team:k8s-admins', 'group:dev', 'system:masters'])
    expect(await blockGroup(group)).toMatchObject({
      code: 0,
      stdout: expect.stringContaining(': all its members are refused, '),
      stderr: '',
    });
});

test('a blocked group that has the name of a user says so', async () => {
  const people = { ...staticEntry, name: 'people' };
  await using place = await createBlockPlace([people], redis.url);
  const words = ['block', '--group', 'ada', '--for', '1h', '--expect', '0'];
  expect(await place.run(words)).toMatchObject({
    code: 0,
    stderr: `sallyport: ada is a user, and this blocks only a group of this name\n  fix: to block the user, run: sallyport block --user ada --for 60m --config ${place.config}\n`,
  });
});

test('hints begin with SALLYPORT_COMMAND, and end with the config that was given', async () => {
  const program = 'kubectl -n gw exec -it gw-1 -- sallyport';
  const environment = { SALLYPORT_COMMAND: program };
  await using place = await createBlockPlace([robotsEntry(redis.url)], redis.url, { environment });
  const named = ['--config', place.config];
  const token = randomToken();
  const words = ['block', '--token', '--for', '1h', '--expect', '0', ...named];
  const { code, stdout } = await place.run(words, token);
  const hint = `${program} unblock --digest ${sha256(token).slice(0, 12)} --config ${place.config}`;
  expect([code, stdout.split('\n').at(-2)]).toEqual([0, `To remove it early: ${hint}`]);
  expect(await place.run(['explain', ...named])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining(
      `from a file: ${program} explain --config ${place.config} < FILE\n`,
    ),
  });
});

test('an issuer that fails keeps neither the others nor the list from being changed', async () => {
  const down = robotsEntry('redis://127.0.0.1:1', { name: 'down' });
  const people = robotsEntry('redis://127.0.0.1:1', {
    name: 'people',
    username: { prefix: 'person:' },
  });
  await using place = await createBlockPlace([down, people, robotsEntry(redis.url)], redis.url);
  await place.create('--user', 'ci', '--authenticator', 'robots');
  const { code, stdout, stderr } = await place.run(['revoke', '--user', 'robot:ci', '-o', 'json']);
  expect([code, JSON.parse(stdout)]).toMatchObject([
    1,
    {
      replicas: { entry: { action: 'revoke', name: 'robot:ci' } },
      revoked: [{ authenticator: 'robots' }],
      problems: [{ authenticator: 'down', problem: expect.stringMatching(/refused/) }],
    },
  ]);
  expect(stderr).toMatch(/^sallyport: not all tokens of authenticator down are revoked: /);
});

test('what was revoked is reported, also when the cache Redis is down', async () => {
  await using place = await createBlockPlace([robotsEntry(redis.url)], 'redis://127.0.0.1:1');
  const token = await place.create('--user', 'ci');
  const { code, stdout, stderr } = await place.run(['revoke', '--token', '-o', 'json'], token);
  expect([code, JSON.parse(stdout)]).toEqual([
    1,
    {
      revoked: [expect.objectContaining({ authenticator: 'robots' })],
      already: [],
      unreadable: [],
      problems: [],
      unpublished: expect.objectContaining({
        effect: 'the replicas did not learn of it, so they keep their cached answers',
      }),
    },
  ]);
  expect(stderr).toMatch(
    /^sallyport: the replicas did not learn of it, so they keep their cached answers: redis:\/\/127\.0\.0\.1:1: .*refused/,
  );
  const text = await place.run(['revoke', '--token'], await place.create('--user', 'cd'));
  expect(text).toMatchObject({ code: 1, stdout: expect.stringContaining('1 token revoked.\n') });
  expect(text.stdout).toContain(
    'A replica may accept what it has cached for 5m more (authenticatedTtl)',
  );
});

test('without cache.redis tokens are revoked; all else needs it', async () => {
  await using place = await createBlockPlace([robotsEntry(redis.url)], undefined);
  const token = await place.create('--user', 'ci');
  for (const words of [
    ['revoke', '--all'],
    ['block', '--user', 'robot:ci', '--for', '1h'],
    ['unblock', '--user', 'robot:ci'],
    ['blocks'],
  ]) {
    const { code, stdout, stderr } = await place.run(words, token);
    expect([words, code, stdout]).toEqual([words, 1, '']);
    expect(stderr).toMatch(/^sallyport: .*(?:nothing was written|list of blocks can't be read)/);
    expect(stderr).toContain(
      `: ${words[0]} needs cache.redis, through which the gateways learn of it`,
    );
  }
  expect(await place.json('token', 'list', '--user', 'robot:ci')).toMatchObject({
    tokens: [{ state: 'good' }],
  });
  const { code, stdout } = await place.run(['revoke', '--token'], token);
  expect(code).toBe(0);
  expect(stdout).toContain(
    '1 token revoked.\nWithout cache.redis no replica forgets what it has cached. A replica may accept what it has cached ' +
      'for 5m more (authenticatedTtl), and 10m beyond while the backend is down (staleTtl).\n',
  );
  // No replica can confirm it.
  expect((await place.run(['revoke', '--token', '--expect', '1'], token)).code).toBe(1);
});

test.each([
  {
    words: ['block', '--user', 'a'],
    message:
      'error: required option \'--for <duration>\' not specified\n  fix: write for example: sallyport block --user corp:jane --for 8h --reason "laptop stolen"\n',
  },
  {
    words: ['block', '--for', '1h'],
    message:
      'sallyport: it is not clear what to block\n  fix: write exactly one of: --user NAME, --group NAME, --token',
  },
  {
    words: ['revoke', '--all', '--authenticator', 'robots'],
    message: "error: option '--all' cannot be used with option '--authenticator <name>'",
  },
])('$words is wrong usage', async ({ words, message }) => {
  await using place = await createBlockPlace([robotsEntry(redis.url)], redis.url);
  const { code, stdout, stderr } = await place.run(words);
  expect([code, stdout]).toEqual([2, '']);
  expect(stderr.startsWith(message)).toBe(true);
});

test.each([
  {
    words: ['--sid', '\tabc'],
    remarks: /^sallyport: --sid begins or ends with a blank.*\n {2}fix: .*\n$/,
  },
  {
    words: ['--user', 'robot:ci '],
    remarks: /^sallyport: --user begins or ends with a blank.*\n {2}fix: .*\n$/,
  },
  {
    words: ['--jti', 'X509SHA256=00ff '],
    remarks:
      /^sallyport: --jti begins or ends with a blank.*\n {2}fix: .*\n.*--jti X509SHA256=\.\.\. is the id of a client certificate.*\n$/,
  },
])(
  'block $words remarks on an id that was most likely not copied well',
  async ({ words, remarks }) => {
    await using place = await createBlockPlace([robotsEntry(redis.url)], redis.url);
    expect(await place.run(['block', ...words, '--for', '1h', '--expect', '0'])).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(remarks),
    });
  },
);

test('the unblock that block prints ends its block, also for an id that begins with JTI=', async () => {
  await using place = await createBlockPlace([robotsEntry(redis.url)], redis.url);
  const words = ['block', '--jti', 'JTI=JTI=1', '--for', '1h', '--expect', '0'];
  const { stdout } = await place.run(words);
  expect(stdout).toContain('blocked jti JTI=1 until ');
  expect(await place.json('blocks')).toMatchObject({ blocks: [{ kind: 'jti', name: 'JTI=1' }] });
  const [, printed = ''] = /unblock --jti (\S+)/.exec(stdout) ?? [];
  expect(await place.run(['unblock', '--jti', printed, '--expect', '0'])).toMatchObject({
    code: 0,
    stderr: '',
  });
  expect(await place.json('blocks')).toMatchObject({ blocks: [] });
});

test.each([
  {
    words: ['--jti', "JTI=JTI=it's"],
    command: String.raw`block --jti 'JTI=JTI=it'\''s' --for 8h`,
  },
  { words: ['--sid', 's'], command: 'block --sid s --for 8h' },
])(
  'revoke $words changes nothing, and names the command that refuses it',
  async ({ words, command }) => {
    await using place = await createBlockPlace([robotsEntry(redis.url)], redis.url);
    const keys = await redis.client().keys('*');
    const { code, stdout, stderr } = await place.run(['revoke', ...words]);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/^sallyport: nothing was done: only its issuer can revoke a token/);
    expect(stderr).toContain(command);
    expect(await redis.client().keys('*')).toEqual(keys);
  },
);
