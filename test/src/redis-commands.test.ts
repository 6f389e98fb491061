import { createHash, randomBytes } from 'node:crypto';
import { type RedisServer, startRedis } from '@sallyport/test-servers/redis';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { describe, expect, test } from 'vitest';
import { type ListedToken, operatorIn, operatorOf } from './testing/redis-commands.ts';
import { refused, robots, startRobotGateway } from './testing/redis-gateway.ts';
import { issue, recordKey } from './testing/redis-tokens.ts';
import { inHours } from './testing/token-records.ts';
import { sha256 } from './testing/tokens.ts';

/** What `token list -o json` prints. */
interface Listing {
  readonly tokens: readonly ListedToken[];
  readonly unreadable: readonly { readonly digest: string; readonly fault: string }[];
}

/** What `revoke -o json` prints. */
interface Revoked {
  readonly revoked: readonly ListedToken[];
  readonly already: readonly ListedToken[];
}

describe('sallyport token', () => {
  test('makes tokens that the gateway takes, lists them with their last use, and revokes them at once by digest, token or user', async () => {
    await using redis = await startRedis();
    const authenticator = robots({ url: redis.url, trackLastUse: '10s' }, { groups: { prefix: 'team:' } });
    await using robotGateway = await startRobotGateway([authenticator]);
    const { ask, gateway } = robotGateway;
    const operator = operatorIn(gateway.folder);
    const names = ['--uid', 'u-7', '--group', 'dev', '--group', 'ops', '--extra', 'cost-center=4711'];
    const isUser = (name: string) => ({
      ...{ username: `robot:${name}`, uid: 'u-7' },
      ...{ groups: ['team:dev', 'team:ops'], extra: { 'cost-center': ['4711'] } },
    });
    const ways: Readonly<Record<string, (token: string) => readonly [string[], string?]>> = {
      ann: (token) => [['--digest', sha256(token).slice(0, 8)]],
      bob: (token) => [['--token'], token],
      dan: () => [['--user', 'robot:dan']],
    };
    // One is made by the command, the others by another system, before it and with the same record.
    const tokens = new Map<string, string>();
    const user = { uid: 'u-7', groups: ['dev', 'ops'], extra: { 'cost-center': ['4711'] } };
    for (const [name, issuedAt] of Object.entries({ ann: inHours(-2), bob: inHours(-1) })) {
      const record = { username: name, ...user, issuedAt, issuedBy: 'ada', reason: 'nightly' };
      tokens.set(name, await issue(() => redis, record));
    }
    tokens.set('dan', await operator.create('--user', 'dan', ...names, '--reason', 'nightly', '--by', 'ada'));
    const began = Date.now();
    for (const name of ['ann', 'dan']) {
      const token = tokens.get(name) ?? '';
      expect(await ask(token)).toEqual({ authenticated: true, user: isUser(name) });
      // No review waits for the note, so it may come after the answer.
      await waitFor(async () => (await redis.client().exists(`${recordKey(token)}:last-use`)) === 1, 'the note');
    }
    // The newest first.
    const listed = [...tokens].reverse().map(([name, token]) => {
      return { digest: sha256(token), state: 'good', user: isUser(name), issuedBy: 'ada', reason: 'nightly' };
    });
    const before = ((await operator.json('token', 'list')) as Listing).tokens;
    expect(before).toMatchObject(listed);
    const [ofDan, ofBob, ofAnn] = before.map(({ lastUsedAt }) => lastUsedAt);
    expect(ofBob).toBeNull();
    for (const used of [ofDan, ofAnn]) {
      expect(Date.parse(used ?? '')).toBeGreaterThanOrEqual(began);
      expect(Date.parse(used ?? '')).toBeLessThanOrEqual(Date.now());
    }
    for (const [name, token] of tokens) {
      const [which, input] = ways[name]?.(token) ?? [[]];
      const words = ['revoke', ...which, '--reason', 'leaked', '--by', 'eve'];
      expect(await operator.run(words, input)).toMatchObject({ code: 0, stderr: '' });
      expect(await ask(token)).toEqual(refused);
      const line = await gateway.output.waitForLine(({ subject }) => subject === name, 'of the refusal');
      expect(line).toMatchObject({ outcome: 'rejected', reason: 'revoked' });
    }
    const revoked = { state: 'revoked', revoked: { by: 'eve', reason: 'leaked' } };
    const after = (await operator.json('token', 'list')) as Listing;
    expect(after.tokens).toMatchObject(listed.map((one) => ({ ...one, ...revoked })));
    expect((await operator.run(['token', 'list'])).stdout).toMatch(
      /^DIGEST +USER +GROUPS +AGE +EXPIRES +LAST USE +STATE +BY +REASON\n([0-9a-f]{12} +robot:[a-z]+ +team:dev,team:ops .* (\d+m?s ago|never) +revoked +ada +nightly\n){3}$/,
    );
  });

  test('lists ten thousand tokens and revokes those of one user, and Redis delays no review', async () => {
    await using redis = await startRedis();
    const operator = await operatorOf([robots({ url: redis.url })]);
    await writeTokens(redis, 10_000, 100);
    const client = redis.client();
    await client.config('SET', 'slowlog-log-slower-than', 5_000);
    await client.config('RESETSTAT');
    await client.call('SLOWLOG', 'RESET');
    const began = performance.now();
    const { revoked } = (await operator.json('revoke', '--user', 'robot:user-42', '--reason', 'left')) as Revoked;
    const done = performance.now();
    const { tokens, unreadable } = (await operator.json('token', 'list')) as Listing;
    const listed = performance.now();
    const stats = await commandStats(redis);
    console.info(
      `100 of 10,000 tokens revoked in ${Math.round(done - began)} ms, all listed in ${Math.round(listed - done)} ms; ` +
        `${stats.get('scan')?.calls} SCANs of ${stats.get('scan')?.usecPerCall} us, ` +
        `${await client.call('SLOWLOG', 'LEN')} commands took over 5 ms`,
    );
    expect(revoked).toHaveLength(100);
    expect([tokens.length, unreadable.length]).toEqual([10_000, 0]);
    expect(new Set(tokens.map(({ digest }) => digest)).size).toBe(10_000);
    const gone = tokens.filter(({ state }) => state === 'revoked');
    expect(gone.map(({ record }) => record.username)).toEqual(gone.map(() => 'user-42'));
    expect(gone.map(({ digest }) => digest).sort()).toEqual(revoked.map(({ digest }) => digest).sort());
    expect(tokens.filter(({ state }) => state === 'good')).toHaveLength(9_900);
    // In small steps: each of the two commands makes at least 10,000 / 500 of them.
    expect([...stats.keys()]).not.toContain('keys');
    expect(stats.get('scan')?.calls).toBeGreaterThanOrEqual(40);
    // On average, since a busy machine may stop Redis in the middle of any command.
    expect([...stats].filter(([, { usecPerCall }]) => usecPerCall > 5_000)).toEqual([]);
  });

  test('wants to know which, where two authenticators issue tokens, and check warns when theirs look the same', async () => {
    await using redis = await startRedis();
    const keyPrefix = 'people:token:';
    const people = robots({ url: redis.url, keyPrefix }, { name: 'people', username: { prefix: 'person:' } });
    const alike = await operatorOf([robots({ url: redis.url }), people]);
    for (const words of [['create', '--user', 'ci', '--ttl', '1h'], ['list']]) {
      const { code, stdout, stderr } = await alike.run(['token', ...words]);
      expect([words, code, stdout]).toEqual([words, 2, '']);
      expect(stderr).toMatch(/--authenticator robots or people/);
    }
    await alike.create('--user', 'jane', '--authenticator', 'people');
    expect(await alike.json('token', 'list', '--authenticator', 'people')).toMatchObject({
      tokens: [{ user: { username: 'person:jane' } }],
    });
    expect(await alike.json('token', 'list', '--authenticator', 'robots')).toMatchObject({ tokens: [] });
    expect(await redis.client().keys('people:token:*')).toHaveLength(1);
    const warned = await alike.run(['check']);
    expect(warned.code).toBe(0);
    expect(warned.stdout).toMatch(/token prefixes +warning +robots and people: tokens of both begin with sp_/);
  });
});

/** Records of tokens that no one has, dealt out to the users in turn. */
async function writeTokens(redis: RedisServer, count: number, users: number): Promise<void> {
  const pipeline = redis.client().pipeline();
  for (let number = 0; number < count; number++) {
    const digest = createHash('sha256').update(randomBytes(32)).digest('hex');
    const record = { username: `user-${number % users}`, groups: ['dev'], expiresAt: '2099-05-01T00:00:00Z' };
    pipeline.set(`sallyport:token:${digest}`, JSON.stringify(record));
  }
  await pipeline.exec();
}

/** Microseconds, by the name of the command. */
async function commandStats(redis: RedisServer): Promise<Map<string, { calls: number; usecPerCall: number }>> {
  const info = await redis.client().info('commandstats');
  const lines = info.matchAll(/^cmdstat_([\w|]+):calls=(\d+),.*usec_per_call=([\d.]+)/gm);
  return new Map(
    Array.from(lines, ([, name = '', calls, usec]) => [name, { calls: Number(calls), usecPerCall: Number(usec) }]),
  );
}
