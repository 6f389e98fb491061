import { RedisProblem } from '@sallyport/redis-connection';
import { describe, expect, test } from 'vitest';
import { FixableError } from '../../config/problems.ts';
import { createTestContext } from '../../testing/command-context.ts';
import { createBlockPlace, robotsEntry } from './testing/block-place.ts';
import { describeWithoutRedis } from './without-redis.ts';

// Nothing listens there.
const closedUrl = 'redis://127.0.0.1:1';
const refused = `${closedUrl}: not connected: the connection was refused: is it running, and is this its port?`;

const ways = (name: string) => `start that Redis, or correct cache.redis, and run the command again
    These ways need no Redis:
    # immediately remove the rights of the user and of their groups: the first command shows the groups, the second finds the bindings, the third deletes a binding. A binding of a group is for all its members
    sallyport explain --user ${name} --config CONFIG
    kubectl get clusterrolebindings,rolebindings -A -o wide | grep -F -e ${name} -e GROUP
    kubectl delete -n NAMESPACE BINDING
    # let no one in by a token of this gateway, after at most 2m10s: stop all gateways. Client certificates still work
    systemctl stop sallyport
    kubectl -n sallyport scale deployment sallyport --replicas=0
    # all ways, and how long each takes: docs/block-and-revoke.md#while-redis-is-down
`;
const hideConfig = (text: string) => text.replaceAll(/--config \S+/g, '--config CONFIG');
const start = '\n  fix: start that Redis, or correct cache.redis, and run the command again\n';

const user = ['--user', "robot:o'ci"];
const quoted = String.raw`'robot:o'\''ci'`;

describe('while the cache Redis is down', () => {
  test.each([
    {
      words: ['block', ...user, '--for', '1h'],
      effect: "user robot:o'ci is not blocked: nothing was written",
      fix: `\n  fix: ${ways(quoted)}`,
    },
    {
      words: ['unblock', ...user],
      effect: "a block of user robot:o'ci stays in force: nothing was written",
      fix: start,
    },
    {
      words: ['unlock', ...user],
      effect: "user robot:o'ci is not unlocked on every replica",
      fix: start,
    },
    {
      words: ['blocks'],
      effect: "the list of blocks can't be read. Blocks that the gateways know stay in force",
      fix: start,
    },
    {
      words: ['lockouts'],
      effect: "the lockouts can't be read. Each gateway goes on counting in its own memory",
      fix: start,
    },
  ])('$words.0 says what that means, where and why, and what is left', async (row) => {
    const { words, effect, fix } = row;
    await using place = await createBlockPlace([robotsEntry(closedUrl)], closedUrl);
    const { code, stdout, stderr } = await place.run(words);
    expect([code, stdout]).toEqual([1, '']);
    expect(hideConfig(stderr)).toBe(`sallyport: ${effect}: ${refused}${fix}`);
    const json = await place.run([...words, '-o', 'json']);
    expect([json.code, JSON.parse(json.stdout)]).toMatchObject([1, { effect, reason: refused }]);
    expect(JSON.parse(json.stdout).ways).toHaveLength(fix === start ? 0 : 2);
  });

  test('revoke says what the replicas keep, and what is left', async () => {
    await using place = await createBlockPlace([robotsEntry(closedUrl)], closedUrl);
    const { code, stdout, stderr } = await place.run(['revoke', ...user, '-o', 'json']);
    const effect = 'the replicas did not learn of it, so they keep their cached answers';
    expect([code, JSON.parse(stdout)]).toMatchObject([1, { unpublished: { effect } }]);
    const end = `sallyport: ${effect}: ${refused}\n  fix: ${ways(quoted)}`;
    expect(hideConfig(stderr).endsWith(end)).toBe(true);
    // A block needs the same Redis.
    expect((await place.run(['revoke', ...user])).stdout).not.toContain('sallyport block');
  });
});

test('without cache.redis, block says that no one is blocked, and what is left', async () => {
  await using place = await createBlockPlace([robotsEntry(closedUrl)], undefined);
  const { code, stderr } = await place.run(['block', '--group', 'team:dev', '--for', '1h']);
  expect(code).toBe(1);
  expect(stderr).toMatch(
    /^sallyport: group team:dev is not blocked: nothing was written: block needs cache\.redis, through which/,
  );
  expect(stderr).toContain('| grep -F -e team:dev\n');
  const all = await place.run(['revoke', '--all']);
  expect(all.stderr).toMatch(
    /^sallyport: no replica clears what it has cached: nothing was written/,
  );
  expect(all.stderr).not.toContain('rolebindings');
});

test('a block that may have been written is not called undone', () => {
  const problem = new RedisProblem('timeout', 'no answer in time');
  const missed = { undone: 'not blocked', doubtful: 'might not be blocked' };
  const describeEffect = (error: unknown) =>
    describeWithoutRedis(createTestContext({}), missed, error).effect;
  expect(describeEffect(problem)).toBe('not blocked');
  expect(describeEffect(new FixableError('it is not known', 'again', { cause: problem }))).toBe(
    'might not be blocked',
  );
});

describe('a Redis that answers', () => {
  const way = { effect: 'stop all gateways', commands: ['systemctl stop sallyport'] };
  const describeProblem = (problem: Error) =>
    describeWithoutRedis(createTestContext({}), { undone: 'not blocked', ways: [way] }, problem);

  test('is not to be started where rights are missing, and no other way is needed', () => {
    const problem = new RedisProblem('permission', 'the user is not allowed to do this (HSET)');
    const { fix, json } = describeProblem(problem);
    expect(fix).toMatch(/^correct the username, password or rights of cache\.redis.* again$/);
    expect(json.ways).toEqual([]);
  });

  test('needs what the error says where it refuses the entry', () => {
    const full = new FixableError('the revocation list is full', 'end a block');
    expect(describeProblem(full)).toMatchObject({ fix: 'end a block', json: { ways: [] } });
    expect(describeProblem(new Error('a bug')).fix).toBeUndefined();
  });

  test('is not the one whose password is refused: no command can use it', () => {
    const refused = new RedisProblem('authentication', 'it refuses the username or the password');
    expect(describeProblem(refused).json.ways).toEqual([way]);
  });
});

test('the helpdesk is sent to an administrator', async () => {
  const environment = { SALLYPORT_HELPDESK: 'sallyport-helpdesk' };
  await using place = await createBlockPlace([robotsEntry(closedUrl)], closedUrl, { environment });
  const { stderr } = await place.run(['block', ...user, '--for', '1h']);
  expect(stderr).toContain('\n    Until then, call an administrator, who can do what docs/');
  expect(stderr).not.toContain('kubectl');
});
