import { redisForFile } from '@sallyport/test-servers/redis-for-file';
import { issue, recordKey } from '@sallyport/test-servers/redis-tokens';
import { randomToken, sha256 } from '@sallyport/test-servers/tokens';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { startGateway } from './testing/gateway.ts';
import { isRobot, refused } from './testing/redis-gateway.ts';
import { documentedLines, loginOf } from './testing/redis-lines.ts';
import {
  cachedRobots,
  type Published,
  type Replicas,
  replicasConfig,
  startReplicas,
} from './testing/replicas.ts';

const both = (one: object): object[] => [one, one];

const redis = await redisForFile();
const newToken = (username: string, more: object = {}) => issue(() => redis, { username, ...more });

/** The minimal rights, as docs/redis.md lists them. Gateways and commands have no others. */
const [line = ''] = await documentedLines('The cache');
const password = randomToken();
const limited = await redisForFile({ users: [line.replace('>PASSWORD', `>${password}`)] });
const login = { url: limited.url, ...loginOf(line, 'secrets') };
const config = replicasConfig([cachedRobots(redis.url)], login);
const files = { secrets: password };

/** These are two gateways. Each test has users of its own. */
let replicas: Replicas;
beforeAll(async () => {
  replicas = await startReplicas(2, config, files);
});
afterEach(async () => {
  // Redis refused nothing because of a missing right.
  expect(await limited.client().call('ACL', 'LOG')).toEqual([]);
});
afterAll(() => replicas[Symbol.asyncDispose]());

/** Deletes a record without telling the gateways, so that only their cached answers accept the token. */
async function deleteRecord(token: string): Promise<void> {
  expect(await redis.client().del(recordKey(token))).toBe(1);
}

test('a block of a user, a group or a token keeps out what a cache has let in, until it is ended', async () => {
  const { operator, ask } = replicas;
  const token = await newToken('ci', { groups: ['dev'] });
  const other = await newToken('cd');
  const robot = { authenticated: true, user: { username: 'robot:ci', groups: ['team:dev'] } };
  const digest = sha256(token).slice(0, 12);
  const ways: readonly (readonly [string[], string])[] = [
    [['--user', 'robot:ci'], 'user robot:ci'],
    [['--group', 'team:dev'], 'group team:dev'],
    [['--token'], `token ${digest}`],
  ];
  const before = replicas.gateways.map(({ output }) => output.lines.length);
  for (const [subject, name] of ways) {
    expect([await ask(token), await ask(other)]).toEqual([both(robot), both(isRobot('cd'))]);
    const blocked = await operator.run(
      ['block', ...subject, '--for', '1h', '--reason', 'stolen', '--by', 'eve'],
      token,
    );
    expect([await ask(token), await ask(other)]).toEqual([both(refused), both(isRobot('cd'))]);
    expect(blocked).toMatchObject({ code: 0, stderr: '' });
    expect(blocked.stdout).toContain(`blocked ${name} until `);
    expect(blocked.stdout).toContain('\nconfirmed by 2 of 2 replicas.\n');
    if (subject[0] === '--token') {
      const row = `${name.replace(' ', ' +')} +\\S+Z +\\d+m +eve +\\S+Z +stolen\n`;
      const listed = await operator.run(['blocks']);
      expect(listed).toMatchObject({ code: 0, stderr: '' });
      // The sessions of other tests may be in it, too.
      expect(listed.stdout).toMatch(
        new RegExp(`^KIND +NAME +UNTIL +REMAINING +BY +AT +REASON\n(.*\n)*${row}`),
      );
      const explained = await operator.run(['explain', '--user', 'robot:ci']);
      expect(explained.stdout).toMatch(
        new RegExp(
          `\nnot blocked\n1 of the user's tokens is blocked: ${digest}, until .*Z, by eve: stolen\\..* unblock --digest ${digest} `,
        ),
      );
    }
    // Who ends the block of a token need not have it.
    expect(blocked.stdout).toContain(
      ` unblock ${subject[0] === '--token' ? `--digest ${digest}` : subject.join(' ')} --config`,
    );
    const unblocked = await operator.run([
      'unblock',
      ...(subject[0] === '--token' ? ['--digest', digest] : subject),
    ]);
    expect(await ask(token)).toEqual(both(robot));
    expect(unblocked).toMatchObject({ code: 0, stderr: '' });
    expect(unblocked.stdout).toContain(
      `unblocked ${name}: the backend decides again.\nconfirmed by 2 of 2`,
    );
  }
  for (const [index, { output }] of replicas.gateways.entries()) {
    const lines = output.lines.slice(before[index]);
    // Lines about the users of other tests may come late.
    const ofOthers = ['robot:finn', 'robot:ada'];
    const reviews = lines.filter(
      ({ msg, reason, subject }) =>
        msg === 'token review' && reason === 'blocked' && !ofOthers.includes(String(subject)),
    );
    expect(reviews).toHaveLength(ways.length);
  }
});

test('after revoke the backend is asked again about a user, a token or all users, and issued tokens are revoked', async () => {
  const { operator, ask } = replicas;
  const names = ['ann', 'bob', 'cleo', 'dan'] as const;
  const tokens = new Map<string, string>();
  for (const name of names) {
    const token = await newToken(name);
    tokens.set(name, token);
    expect(await ask(token)).toEqual(both(isRobot(name)));
  }
  const tokenOf = (name: string): string => tokens.get(name) ?? '';
  for (const name of ['ann', 'cleo']) {
    await deleteRecord(tokenOf(name));
    expect(await ask(tokenOf(name))).toEqual(both(isRobot(name)));
  }
  const ofUser = await operator.run([
    'revoke',
    '--user',
    'robot:bob',
    '--reason',
    'left',
    '--by',
    'eve',
  ]);
  expect(await ask(tokenOf('bob'))).toEqual(both(refused));
  expect(ofUser).toMatchObject({ code: 0, stderr: '' });
  expect(ofUser.stdout).toContain(
    '1 token revoked.\nReplicas forget what they have cached of user robot:bob, and ask the backend at the next review.\nconfirmed by 2 of 2 replicas.\n',
  );
  expect(ofUser.stdout).toContain(
    `: npx -y pnpm@10 sallyport block --user robot:bob --for 8h --config ${operator.config}\n`,
  );
  const ofToken = await operator.run(['revoke', '--token'], tokenOf('dan'));
  expect(await ask(tokenOf('dan'))).toEqual(both(refused));
  expect(ofToken).toMatchObject({ code: 0, stderr: '' });
  expect(ofToken.stdout).toContain(
    '1 token revoked.\nThe token is revoked for good. A replica that confirms this refuses it from the next review on.\nconfirmed by 2 of 2 replicas.\n',
  );
  expect(ofToken.stdout).not.toContain('backend');
  const stored = async (name: string) =>
    JSON.parse(String(await redis.client().get(recordKey(tokenOf(name)))));
  const revokedAt = expect.stringMatching(/Z$/);
  expect(await stored('bob')).toMatchObject({ revokedAt, revokedBy: 'eve', revokedReason: 'left' });
  expect(await stored('dan')).toMatchObject({ revokedAt });
  // The cached answers of others have not changed.
  expect([await ask(tokenOf('ann')), await ask(tokenOf('cleo'))]).toEqual([
    both(isRobot('ann')),
    both(isRobot('cleo')),
  ]);
  // Its record is gone, so there is no token to revoke, but its cached answers are forgotten.
  expect(await operator.run(['revoke', '--user', 'robot:ann'])).toEqual({
    code: 3,
    stdout: expect.stringMatching(
      /^0 tokens revoked\.\nReplicas forget .*\nconfirmed by 2 of 2 replicas\.\n/,
    ),
    stderr: expect.stringMatching(
      /^sallyport: no token of user robot:ann was issued by authenticator robots\n {2}fix: list all: .* token list --config \S+\n$/,
    ),
  });
  expect([await ask(tokenOf('ann')), await ask(tokenOf('cleo'))]).toEqual([
    both(refused),
    both(isRobot('cleo')),
  ]);
  const ofAll = await operator.run(['revoke', '--all']);
  expect(await ask(tokenOf('cleo'))).toEqual(both(refused));
  expect(ofAll).toMatchObject({ code: 0, stderr: '' });
  expect(ofAll.stdout).toMatch(
    /^Replicas forget what they have cached of all users, .*\nNo token was revoked: .*\n$/s,
  );
});

test('revoke takes a digest, and each replica forgets its token', async () => {
  const { operator, ask } = replicas;
  const token = await newToken('emma');
  expect(await ask(token)).toEqual(both(isRobot('emma')));
  const { code, stdout, stderr } = await operator.run([
    'revoke',
    '--digest',
    sha256(token).slice(0, 8),
  ]);
  expect(await ask(token)).toEqual(both(refused));
  expect([code, stderr]).toEqual([0, '']);
  expect(stdout).toContain('\nconfirmed by 2 of 2 replicas.\n');
  const unknown = await operator.run(['revoke', '--digest', '0'.repeat(64), '-o', 'json']);
  expect([unknown.code, JSON.parse(unknown.stdout)]).toMatchObject([
    3,
    { revoked: [], replicas: { entry: { kind: 'token', name: '0'.repeat(64) }, unconfirmed: [] } },
  ]);
});

test('one that hangs is reported as not confirmed, and obeys once it goes on', async () => {
  const { operator, gateways, ask } = replicas;
  const token = await newToken('finn');
  const block = ['block', '--user', 'robot:finn', '--for', '1h'];
  expect(await ask(token)).toEqual(both(isRobot('finn')));
  gateways[1]?.signal('SIGSTOP');
  try {
    const { code, stdout, stderr } = await operator.run(block);
    expect(code).toBe(1);
    expect(stdout).toContain('\nconfirmed by 1 of 2 replicas.\n');
    expect(stderr).toMatch(
      /^sallyport: not confirmed by \S+, last heard of \d+s ago: .*\nsallyport: a gateway that is cut off .*\n {2}fix: .*\n$/,
    );
    const json = await operator.run([...block, '--wait', '100ms', '-o', 'json']);
    expect(json.code).toBe(1);
    const { confirmed, unconfirmed } = JSON.parse(json.stdout) as Published;
    expect([confirmed.length <= 1, unconfirmed.length >= 1]).toEqual([true, true]);
  } finally {
    gateways[1]?.signal('SIGCONT');
  }
  expect(await operator.json(...block, '--wait', '30s')).toMatchObject({ unconfirmed: [] });
  expect(await ask(token)).toEqual(both(refused));
});

test('an unblock that not all replicas have confirmed can be run again', async () => {
  const { operator, gateways, ask } = replicas;
  const token = await newToken('gil');
  const unblock = (wait: string) =>
    operator.run(['unblock', '--user', 'robot:gil', '--wait', wait]);
  expect(await operator.run(['block', '--user', 'robot:gil', '--for', '1h'])).toMatchObject({
    code: 0,
  });
  gateways[1]?.signal('SIGSTOP');
  try {
    for (const _ of [1, 2]) {
      const { code, stdout } = await unblock('100ms');
      expect([code, stdout]).toEqual([
        1,
        expect.stringMatching(/^unblocked user robot:gil: .*\nconfirmed by \d of 2 /),
      ]);
    }
  } finally {
    gateways[1]?.signal('SIGCONT');
  }
  const done = await unblock('30s');
  expect(done).toMatchObject({ code: 0, stderr: '' });
  expect(done.stdout).toContain('confirmed by 2 of 2 replicas.\n');
  expect(await ask(token)).toEqual(both(isRobot('gil')));
});

test('check finds that the documented rights are enough', async () => {
  expect(await replicas.operator.run(['check'])).toMatchObject({ code: 0, stderr: '' });
});

test('a gateway that has ended is not waited for', async () => {
  const { operator, ask } = replicas;
  const token = await newToken('ada');
  expect(await ask(token)).toEqual(both(isRobot('ada')));
  {
    await using _ = await startGateway({ config, files, env: operator.env });
    const blocked = await operator.run([
      'block',
      '--user',
      'robot:ada',
      '--for',
      '1h',
      '--by',
      'eve',
    ]);
    expect(blocked).toMatchObject({ code: 0, stderr: '' });
    expect(blocked.stdout).toContain('\nconfirmed by 3 of 3 replicas.\n');
  }
  expect(await ask(token)).toEqual(both(refused));
  const unblocked = await operator.run(['unblock', '--user', 'robot:ada']);
  expect(unblocked).toMatchObject({ code: 0, stderr: '' });
  expect(unblocked.stdout).toContain('\nconfirmed by 2 of 2 replicas.\n');
  expect(await ask(token)).toEqual(both(isRobot('ada')));
});
