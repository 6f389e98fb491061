import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type RedisServer, startRedis } from '@sallyport/test-servers/redis';
import { randomToken, secret } from '@sallyport/test-servers/tokens';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type AuditLine, readTrailSoFar } from './testing/audit-trail.ts';
import { appCode } from './testing/authenticator-app.ts';
import { configText } from './testing/gateway.ts';
import { type LoginPlace, startLogin } from './testing/login-gateway.ts';
import type { ListedToken } from './testing/redis-commands.ts';
import { documentedLines, loginOf } from './testing/redis-lines.ts';
import { invite } from './testing/second-factor.ts';

const factorsPassword = 'secrets/factors';
const newKey = { SALLYPORT_NEW_KEY: secret(randomBytes(32).toString('base64')) };

let factorRedis: RedisServer;
let place: LoginPlace;
beforeAll(async () => {
  const [everything = ''] = await documentedLines('One user for everything');
  const [line = ''] = await documentedLines('Second factors');
  const password = randomToken();
  factorRedis = await startRedis({
    users: [line.replace('>PASSWORD', `>${password}`)],
    password: true,
  });
  const redis = { url: factorRedis.url, ...loginOf(line, factorsPassword) };
  place = await startLogin({
    rights: { cache: everything },
    entry: { reviews: false },
    user: { attributes: { username: 'uid', uid: 'entryUUID' } },
    login: { limits: { perAddress: '1000/m' } },
    secondFactor: { required: 'all', redis },
    more: { audit: { output: 'audit.log' } },
    files: { [factorsPassword]: password },
    env: newKey,
  });
});
afterAll(async () => {
  await place?.[Symbol.asyncDispose]();
  await factorRedis?.[Symbol.asyncDispose]();
});

type Person = Awaited<ReturnType<LoginPlace['people']['add']>>;

const run = (...words: readonly string[]) => place.replicas.operator.run(['factor', ...words]);
const trail = () => readTrailSoFar(place.replicas.gateways[0]?.folder ?? '');
const answerOf = ({ name: username, password }: Person, more: object = {}, path = '/v1/sessions') =>
  place.ask({ path, body: { username, password, ...more } });

/** Logs in with a code. @returns what the session is, as the gateway says */
const logIn = (person: Person, code: string) => place.logIn(person, { code });

/** Adds an app with an invitation. @returns the recovery codes */
async function addApp(person: Person, invitation: string): Promise<readonly string[]> {
  const begun = await answerOf(person, { invitation, label: 'phone' }, '/v1/factors');
  expect(begun).toMatchObject({ status: 200 });
  const { secret: text, enrolment } = begun.json as Record<string, string>;
  const code = await appCode(secret(text ?? ''));
  const added = await place.ask({ path: '/v1/factors', body: { enrolment, code } });
  expect(added).toMatchObject({ status: 201, json: { factor: { name: 'phone' } } });
  return (added.json?.recoveryCodes as readonly string[] | undefined)?.map(secret) ?? [];
}

/** Lists the keys of all records. */
const recordKeys = () => factorRedis.client().keys('sallyport:factor:*');

/** Makes a person who has an app and recovery codes. */
async function enrolled(name: string) {
  const person = await place.people.add(name);
  const before = new Set(await recordKeys());
  const { code } = await invite(place, { name });
  const [key = ''] = (await recordKeys()).filter((one) => !before.has(one));
  return { person, key, codes: await addApp(person, code) };
}

test('an invited user adds an app and logs in, and after a reset they have neither factor nor session', async () => {
  const { alice } = place.people;
  const notEnrolled = { status: 401, json: { code: 'second-factor-not-enrolled' } };
  expect(await answerOf(alice, { cluster: 'prod' })).toMatchObject(notEnrolled);
  const first = await invite(place, alice, [
    ...['--for', '1h', '--by', 'ada', '--reason', 'new phone'],
  ]);
  expect(first).toMatchObject({ user: 'corp:alice', command: 'kubectl sallyport factor add' });
  const open = await run('list', '--user', 'corp:alice');
  expect(open.stdout).toMatch(
    /^OPEN INVITATIONS\nUSER +UNTIL +BY +REASON\ncorp:alice +\S+Z +ada +new phone\n$/,
  );
  const text = await run('invite', '--user', 'corp:alice', '--by', 'zoë');
  const second = secret(/asks for: (\S{16})\n/.exec(text.stdout)?.[1] ?? '');
  expect(text.stdout).toMatch(
    /^invited user corp:alice to add one second factor until \S+Z \(24h\):/,
  );
  expect(text.stdout).toContain('takes the place of the open invitation until');
  expect(await answerOf(alice, { invitation: first.code }, '/v1/factors')).toMatchObject({
    status: 401,
    json: { code: 'wrong-invitation' },
  });
  const codes = await addApp(alice, second);
  const session = await logIn(alice, codes[0] ?? '');
  expect(await place.reviews(session)).toMatchObject([{ authenticated: true }]);

  const { operator } = place.replicas;
  expect((await run('list')).stdout).toMatch(/^corp:alice +totp +phone +\d+s ago +never$/m);
  expect(await operator.json('factor', 'list', '--user', 'alice')).toMatchObject({
    records: [
      { user: 'corp:alice', factors: [{ name: 'phone' }], recoveryCodes: 9, invitation: null },
    ],
    unreadable: [],
  });
  const explained = await operator.run(['explain', '--user', 'corp:alice']);
  expect(explained.stdout).toContain(
    'second factor with corp: required: 1 second factor (totp phone), 9 recovery codes left\n',
  );
  const ofToken = await operator.run(['explain'], session);
  expect(ofToken.stdout).toContain(' with a second factor, amr pwd otp mfa\n');
  const { tokens } = (await operator.json('token', 'list', '--user', 'corp:alice')) as {
    tokens: readonly ListedToken[];
  };
  expect(tokens).toMatchObject([{ session: { amr: ['pwd', 'otp', 'mfa'] } }]);

  const done = await run('reset', '--user', 'corp:alice', '--by', 'ada', '--reason', 'phone lost');
  expect([done.code, done.stderr]).toEqual([0, '']);
  expect(done.stdout).toMatch(
    /^removed 1 second factor \(totp phone\), 9 recovery codes of user corp:alice \(corp\)\.\nrevoked [\s\S]*\n1 session revoked\.\n[\s\S]*\nconfirmed by 1 of 1 replica\.\n/,
  );
  expect(done.stdout).toContain(
    "\nThe user can't log in until they have used a new invitation. To refuse them whatever",
  );
  expect(await place.reviews(session)).toEqual([{ authenticated: false }]);
  expect(await answerOf(alice, { cluster: 'prod' })).toMatchObject(notEnrolled);
  const again = await run('reset', '--user', 'corp:alice', '--by', 'bob');
  expect([again.code, again.stdout]).toEqual([3, expect.not.stringContaining('already')]);
  const unknown = await run('reset', '--user', 'corp:nobody');
  expect([unknown.code, unknown.stderr]).toEqual([
    3,
    expect.stringContaining('knows user corp:nobody: was the name mistyped?'),
  ]);
  const listed = await run('list', '--user', 'corp:nobody');
  expect([listed.code, listed.stderr]).toEqual([
    3,
    expect.stringMatching(/ of user corp:nobody\n {2}fix: list all: .* factor list /),
  ]);

  const isOfAlice = ({ name, username }: AuditLine) => [name, username].includes('corp:alice');
  const acts = async () =>
    (await trail()).filter((line) => isOfAlice(line) && line.kind === 'user');
  await waitFor(
    async () => (await acts()).some(({ event, by }) => event === 'revoke' && by === 'bob'),
    'the revocation in the audit trail',
  );
  expect(await acts()).toMatchObject([
    { event: 'factor-invite', by: 'ada', reason: 'new phone' },
    { event: 'factor-invite', by: 'zoë' },
    { event: 'factor-reset', by: 'ada', reason: 'phone lost' },
    { event: 'unlock', by: 'ada', reason: 'phone lost' },
    { event: 'revoke', by: 'ada', reason: 'phone lost' },
    { event: 'factor-reset', by: 'bob' },
    { event: 'unlock', by: 'bob' },
    { event: 'revoke', by: 'bob' },
  ]);
  const logins = (await trail()).filter((line) => isOfAlice(line) && line.event && line.outcome);
  const refused = { event: 'login', outcome: 'refused', reason: 'second-factor-not-enrolled' };
  expect(logins).toMatchObject([
    refused,
    { event: 'begin-factor', outcome: 'refused', reason: 'wrong-invitation' },
    { event: 'begin-factor', outcome: 'ok' },
    { event: 'add-factor', outcome: 'ok', factor: 'totp', invitedBy: 'zoë' },
    { event: 'login', outcome: 'ok', factor: 'recovery-code', amr: ['pwd', 'otp', 'mfa'] },
    refused,
  ]);
});

test('an invitation is for a user who has exactly this name in the directory', async () => {
  const { stderr: unknown } = await run('invite', '--user', 'corp:nobody');
  expect(unknown).toContain('nothing was done: no user corp:nobody is known to corp\n  fix: ');
  const { stderr: capitals } = await run('invite', '--user', 'corp:Bob');
  expect(capitals).toMatch(
    /corp:Bob is corp:bob, .*\n {2}fix: run:\n.* factor invite --user corp:bob /,
  );
  const bare = await run('invite', '--user', 'bob');
  expect([bare.code, bare.stderr]).toEqual([
    2,
    expect.stringContaining('--user corp:bob   # known: corp'),
  ]);
  const bareUnknown = await run('invite', '--user', 'nobody');
  expect(bareUnknown.stderr).toContain('no authenticator of this config knows a user nobody\n');
  expect((await run('list', '--user', 'corp:bob')).code).toBe(3);
});

test('while their Redis is down, each command names it and says that nothing was done', async () => {
  const { config, replicas } = place;
  const login = (config as { login: { secondFactor: { redis: object } } }).login;
  const redis = { ...login.secondFactor.redis, url: 'redis://127.0.0.1:1' };
  const text = configText({
    ...config,
    login: { ...login, secondFactor: { ...login.secondFactor, redis } },
  });
  const file = join(dirname(replicas.operator.config), 'down.yaml');
  await writeFile(file, text, { mode: 0o600 });
  const user = ['--user', 'corp:bob'];
  for (const words of [['list'], ['invite', ...user], ['reset', ...user], ['reseal']]) {
    const { code, stdout, stderr } = await run(...words, '--config', file);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(
      /nothing was done: the Redis of login\.secondFactor\.redis failed: .*127\.0\.0\.1:1.*refused.*\n {2}fix: start that Redis/,
    );
    // Without the records, only a block keeps the user out.
    const hasBlock = /\. Until then, to refuse the user: .* block --user corp:bob --for 8h /.test(
      stderr,
    );
    expect([words, hasBlock]).toEqual([words, words[0] === 'reset']);
  }
});

test('too many wrong codes lock the codes of a user out, and unlock clears them', async () => {
  const { person, codes } = await enrolled('guessed');
  const tries = ['wrong1', 'wrong2', 'wrong3', 'wrong4'];
  for (const code of tries)
    expect(await answerOf(person, { code, cluster: 'prod' })).toMatchObject({ status: 401 });
  const right = { code: codes[0], cluster: 'prod' };
  expect(await answerOf(person, right)).toMatchObject({ status: 401 });
  const { operator } = place.replicas;
  const locked = await operator.run(['lockouts']);
  expect(locked.stdout).toMatch(
    /\ncorp:guessed +corp \(second factor\) +3 of 3 +locked out +\S+Z\n/,
  );
  const unlocked = await operator.run(['unlock', '--user', 'corp:guessed']);
  expect(unlocked.stdout).toContain(
    'forgot 3 refused attempts of user corp:guessed with authenticator corp (second factor).\nThe next 3 codes',
  );
  expect(await answerOf(person, right)).toMatchObject({ status: 201 });
  for (const code of tries)
    expect(await answerOf(person, { code, cluster: 'prod' })).toMatchObject({ status: 401 });
  const reset = await run('reset', '--user', 'corp:guessed');
  expect(reset.stdout).toContain(
    '\nforgot 3 refused attempts of user corp:guessed with authenticator corp (second factor).\n',
  );
  const { code } = await invite(place, person);
  const [first = ''] = await addApp(person, code);
  expect(await answerOf(person, { code: first, cluster: 'prod' })).toMatchObject({ status: 201 });
});

test('reseal seals each record with the first key, and then the older key is not needed', async () => {
  const { person, codes } = await enrolled('sealed');
  const { config } = place;
  const { redis } = (config as { cache: { redis: object } }).cache;
  const folder = dirname(place.replicas.operator.config);
  const [first, second] = [{ env: 'SALLYPORT_NEW_KEY' }, { env: 'SALLYPORT_CACHE_KEY' }];
  const withKeys = async (name: string, ...sealingKeys: readonly object[]) => {
    const text = configText({ ...config, cache: { redis: { ...redis, sealingKeys } } });
    const file = join(folder, name);
    await writeFile(file, text, { mode: 0o600 });
    return (...words: readonly string[]) => run(...words, '--config', file);
  };
  const rotated = await withKeys('rotated.yaml', first, second);
  const onlyNew = await withKeys('new.yaml', first);
  expect((await onlyNew('list')).stderr).toMatch(
    /^sallyport: \d+ records? of second factors .* can't be opened/,
  );
  expect((await onlyNew('list')).code).toBe(1);
  const refused = await onlyNew('invite', '--user', 'corp:bob');
  expect([refused.code, refused.stdout, refused.stderr]).toEqual([
    1,
    '',
    expect.stringMatching(
      /nothing was done: cache\.redis\.sealingKeys of this config differ from the keys of \S+, which/,
    ),
  ]);
  expect((await run('list', '--user', 'corp:bob')).code).toBe(3);
  expect((await rotated('list')).stderr).toMatch(
    /^sallyport: \d+ records? (is|are) sealed with an older key/,
  );
  const done = await rotated('reseal');
  expect([done.code, done.stdout, done.stderr]).toEqual([
    0,
    expect.stringMatching(/^sealed \d/),
    '',
  ]);
  expect(await onlyNew('list', '--user', 'corp:sealed')).toMatchObject({ code: 0, stderr: '' });
  const back = await withKeys('back.yaml', second, first);
  expect((await back('reseal')).code).toBe(0);
  expect(await answerOf(person, { code: codes[0], cluster: 'prod' })).toMatchObject({
    status: 201,
  });
});

test('a record that someone else wrote refuses its user, until a reset finds it by the directory', async () => {
  const { person, key } = await enrolled('foreign');
  const other = await enrolled('other');
  const client = factorRedis.client();
  await client.set(key, (await client.get(other.key)) ?? '');
  expect(await answerOf(person, { code: other.codes[0], cluster: 'prod' })).toMatchObject({
    status: 401,
    json: { code: 'second-factor-not-enrolled' },
  });
  const { operator } = place.replicas;
  const { stdout } = await operator.run(['explain', '--user', 'corp:foreign']);
  expect(stdout).toContain(
    'its record was not written for this user by a gateway with these sealing keys',
  );
  const { findings } = JSON.parse((await operator.run(['check', '-o', 'json'])).stdout) as {
    readonly findings: readonly { check: string; result: string; detail: string }[];
  };
  const ofFactors = findings.filter((one) => one.check.startsWith('second'));
  expect(ofFactors).toEqual([
    {
      check: 'second-factor Redis',
      result: 'error',
      detail: expect.stringMatching(/^1 record of second factors \(sallyport:factor:/),
    },
    {
      check: 'second factor',
      result: 'ok',
      detail: 'required of all users who log in with a password',
    },
  ]);
  const reset = await run('reset', '--user', 'corp:foreign');
  expect([reset.code, reset.stdout]).toEqual([
    0,
    expect.stringMatching(/^removed a record of user corp:foreign \(corp\) that no gateway/),
  ]);
  expect(await client.exists(key)).toBe(0);
});

test('while the directory is down, no one is invited, and a reset finds the record by its name', async () => {
  const { person, codes } = await enrolled('offline');
  const session = await logIn(person, codes[0] ?? '');
  const { slapd } = place.people;
  await slapd.stop();
  try {
    const refused = await run('invite', '--user', 'corp:offline');
    expect([refused.code, refused.stdout]).toEqual([1, '']);
    expect(refused.stderr).toMatch(
      /^sallyport: nothing was done: whether there is a user corp:offline/,
    );
    const done = await run('reset', '--user', 'corp:offline');
    expect([done.code, done.stdout]).toEqual([1, expect.stringContaining('1 session revoked.')]);
    expect(done.stderr).toMatch(
      /^sallyport: what was found is removed, but corp \(.*\) can't be asked, so it is not known whether/,
    );
    // It may have a record that was written under another name.
    expect((await run('reset', '--user', 'corp:offline')).code).toBe(1);
    await waitFor(
      async () => (await place.reviews(session)).every(({ authenticated }) => !authenticated),
      'the session to be refused',
    );
  } finally {
    await slapd.start();
  }
  await waitFor(
    async () => (await run('invite', '--user', 'corp:offline')).code === 0,
    'the directory to answer again',
  );
});
