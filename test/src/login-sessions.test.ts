import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { startFaultProxy } from '@sallyport/test-servers/fault-proxy';
import { toLdif, toReplacements } from '@sallyport/test-servers/ldif';
import { ldapToken } from '@sallyport/test-servers/people';
import { type RedisServer, startRedis } from '@sallyport/test-servers/redis';
import { randomToken, secret, sha256 } from '@sallyport/test-servers/tokens';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { askLogin } from './testing/ask-login.ts';
import { type AuditLine, readTrailSoFar } from './testing/audit-trail.ts';
import { http1Client, review } from './testing/clients.ts';
import { blocksOf } from './testing/documents.ts';
import { type Gateway, startGateway } from './testing/gateway.ts';
import { helpdeskIn } from './testing/helpdesk.ts';
import { clusters, type LoginPlace, loginUrlOf, startLogin } from './testing/login-gateway.ts';
import { type ListedToken, type Operator, operatorIn } from './testing/redis-commands.ts';
import { cachedAnswers } from './testing/redis-contents.ts';

const refused = { authenticated: false };

/** Each test that shares it adds users of its own. */
let place: LoginPlace;
beforeAll(async () => {
  place = await startLogin({
    count: 2,
    login: { revalidate: '1s', maxSessions: 2, idle: '2h' },
    // A refusal must not be an answer that was cached before.
    entry: { cache: { staleTtl: '10m' } },
    user: { attributes: { username: 'uid', uid: 'entryUUID' } },
    more: { audit: { output: 'audit.log' } },
  });
});
afterAll(() => place[Symbol.asyncDispose]());

/** Waits until each gateway refuses a token. */
async function untilRefused({ reviews }: LoginPlace, token: string): Promise<void> {
  const isRefused = async () => (await reviews(token)).every(({ authenticated }) => !authenticated);
  await waitFor(isRefused, 'the session to be refused');
}

/** What commands say of gina of each directory, who has a session there, in capitals and by another login name. */
async function namesOfOneUser(operator: Operator, mail: string): Promise<void> {
  for (const [typed, name] of [
    ['corp:GINA', 'corp:gina'],
    [`partner:${mail}`, 'partner:gina'],
  ] as const) {
    const { code, stdout, stderr } = await operator.run([
      'block',
      '--user',
      typed,
      '--for',
      '50h30m',
      '--reason',
      'stolen',
    ]);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain(`: nothing was done: ${typed} is ${name}, `);
    const [, command = ''] =
      /\. Otherwise, run:\n {4}npx -y pnpm@10 sallyport (.*)\n$/.exec(stderr) ?? [];
    expect(command).toContain(`block --user ${name} --for 2d2h30m --reason stolen --config `);
    expect(await operator.run(command.split(' '))).toMatchObject({ code: 0, stderr: '' });
    const explained = await operator.run(['explain', '--user', typed]);
    expect([explained.code, explained.stderr]).toEqual([0, `sallyport: ${typed} is ${name}\n`]);
    expect(explained.stdout).toMatch(
      new RegExp(`\nblocked as user ${name} until .*: stolen\\..*\n1 session since`, 's'),
    );
    expect(explained.stdout).not.toContain('is not in login.authenticators');
  }
  const bare = await operator.run(['explain', '--user', mail]);
  expect([bare.code, bare.stderr]).toEqual([0, `sallyport: ${mail} is partner:gina\n`]);
  for (const [words, code] of [
    [['unlock'], 3],
    [['revoke'], 3],
    [['token', 'list', '--authenticator', 'sessions'], 3],
    [['unblock'], 1],
  ] as const) {
    const done = await operator.run([...words, '--user', `partner:${mail}`]);
    expect([words, done.code]).toEqual([words, code]);
    const instead = `partner:${mail} is partner:gina: .*\n {2}fix: .*\n {4}npx .* ${words.join(' ')} --user partner:gina --config `;
    expect(done.stderr).toMatch(new RegExp(instead));
  }
  for (const name of ['corp:gina', 'partner:gina']) {
    expect(await operator.run(['unblock', '--user', name])).toMatchObject({ code: 0, stderr: '' });
  }
}

describe.concurrent('a session', () => {
  test('is listed with its device, and all of a user end together', async () => {
    const { people, ask, logIn, reviews } = place;
    const { alice, bob } = people;
    const token = await logIn(alice, { device: 'laptop' });
    const elsewhere = await logIn(alice, { device: 'desktop', cluster: 'staging' }, 1);
    const bobs = await logIn(bob);
    const mine = await ask({ method: 'GET', path: '/v1/session', token }, 1);
    expect(mine).toMatchObject({
      status: 200,
      json: {
        user: { username: 'corp:alice', groups: ['corp:k8s-admins'] },
        cluster: 'prod',
        device: 'laptop',
        idleSeconds: 7_200,
      },
    });
    const listed = await ask({ method: 'GET', path: '/v1/sessions', token });
    expect(listed.json?.sessions).toMatchObject([
      {
        device: 'laptop',
        cluster: 'prod',
        current: true,
        lastUsedAt: expect.any(String),
        id: mine.json?.id,
      },
      { device: 'desktop', cluster: 'staging', current: false, state: 'good' },
    ]);
    expect(await ask({ method: 'DELETE', path: '/v1/sessions', token })).toMatchObject({
      status: 200,
      json: { ended: 2 },
    });
    await untilRefused(place, token);
    await untilRefused(place, elsewhere);
    expect(await ask({ method: 'DELETE', path: '/v1/sessions', token })).toMatchObject({
      status: 401,
    });
    for (const status of await reviews(bobs)) expect(status.authenticated).toBe(true);
  });

  test('loses a group when the directory takes it away', async () => {
    const { people, logIn, reviews } = place;
    const token = await logIn(await people.add('grace', 'k8s-grace'));
    for (const { user } of await reviews(token)) expect(user?.groups).toEqual(['corp:k8s-grace']);
    const group = `cn=k8s-grace,ou=groups,${people.slapd.suffix}`;
    await people.slapd.modify(
      `dn: ${group}\nchangetype: modify\nreplace: member\nmember: ${people.bob.dn}\n`,
    );
    const isGone = async () =>
      (await reviews(token)).every(({ user }) => user?.groups?.length === 0);
    await waitFor(isGone, 'the group to be gone');
    for (const { authenticated } of await reviews(token)) expect(authenticated).toBe(true);
  });

  test.each([
    [
      'is locked',
      (dn: string) =>
        `dn: ${dn}\nchangetype: modify\nadd: pwdAccountLockedTime\npwdAccountLockedTime: 000001010000Z\n`,
      'locked',
    ],
    ['is deleted', (dn: string) => `dn: ${dn}\nchangetype: delete\n`, 'unknown-user'],
    [
      'has another password',
      (dn: string) =>
        `dn: ${dn}\nchangetype: modify\nreplace: userPassword\nuserPassword: ${randomToken()}\n`,
      'password-changed',
    ],
  ] as const)('ends when its user %s, and the trail says why', async (_what, ldif, reason) => {
    const { people, logIn, reviews, replicas } = place;
    const user = await people.add(reason);
    const token = await logIn(user, { device: 'laptop' });
    for (const status of await reviews(token)) expect(status.authenticated).toBe(true);
    const second = Math.floor(Date.now() / 1000);
    await waitFor(
      () => Math.floor(Date.now() / 1000) > second,
      'a later second, as directories count',
    );
    await people.slapd.modify(ldif(user.dn));
    await untilRefused(place, token);
    const [gateway] = replicas.gateways;
    const line = await gateway?.output.waitForLine(
      ({ msg, reason: why }) => msg === 'token review' && why === reason,
      reason,
    );
    expect(line).toMatchObject({ outcome: 'rejected' });
    const username = `corp:${reason}`;
    const isRefusal = (line: AuditLine) =>
      line.event === 'session-refused' && line.username === username;
    const refusals = async () => (await readTrailSoFar(gateway?.folder ?? '')).filter(isRefusal);
    await waitFor(async () => (await refusals()).length > 0, 'the audit line');
    // There is one line, however often the token is refused.
    await reviews(token);
    const known = { authenticator: 'corp', username, cluster: 'prod', device: 'laptop' };
    expect(await refusals()).toMatchObject([{ ...known, reason, address: '127.0.0.1' }]);
  });

  test('does not pass to another person who gets the name', async () => {
    const { people, logIn, reviews } = place;
    const first = await people.add('same');
    const { dn, password, name } = first;
    const token = await logIn(first);
    const accepted = { user: { username: 'corp:same', uid: expect.any(String) } };
    expect(await reviews(token)).toMatchObject([accepted, accepted]);
    await people.slapd.modify(`dn: ${dn}\nchangetype: delete\n`);
    await people.slapd.add(
      `dn: ${dn}\nobjectClass: account\nobjectClass: simpleSecurityObject\nuid: ${name}\nuserPassword: ${password}\n`,
    );
    await untilRefused(place, token);
    expect(await reviews(await logIn(first))).toMatchObject([accepted, accepted]);
    expect(await reviews(token)).toEqual([refused, refused]);
  });

  test('is the oldest to end when there are more than maxSessions', async () => {
    const { people, logIn, redis, reviews } = place;
    const max = await people.add('max');
    const tokens = [];
    for (const device of ['one', 'two', 'three']) tokens.push(await logIn(max, { device }));
    const [first = '', ...others] = tokens;
    await untilRefused(place, first);
    for (const token of others)
      for (const status of await reviews(token)) expect(status.authenticated).toBe(true);
    // Nothing of the session stays in Redis.
    expect(await redis.client().exists(`sessions:${sha256(first)}`)).toBe(0);
  });

  test('ends when it was not used for its idle time', async () => {
    const { people, logIn, redis, reviews } = place;
    const token = await logIn(await people.add('idle'));
    const client = redis.client();
    const key = `sessions:${sha256(token)}`;
    const hour = 3_600_000;
    const left = await client.pttl(key);
    expect([left > hour, left <= 2 * hour]).toEqual([true, true]);
    // Half of the idle time seems to have passed. A use starts it again.
    await client.pexpire(key, hour);
    await waitFor(async () => {
      for (const status of await reviews(token)) expect(status.authenticated).toBe(true);
      return (await client.pttl(key)) > hour;
    }, 'a use to extend the session');
    await client.pexpire(key, 1);
    await untilRefused(place, token);
  });

  test('is found by explain, block and revoke', async () => {
    const { people, ask, logIn, replicas } = place;
    const { operator } = replicas;
    const eve = await people.add('eve', 'k8s-eve');
    const token = await logIn(eve, { device: 'laptop' });
    const elsewhere = await logIn(eve, { device: 'phone' });
    const ended = await operator.run(['revoke', '--token'], elsewhere);
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expect(ended.stdout).toMatch(
      /1 session revoked\.\nThe session has ended for good\. A replica that confirms .*\nconfirmed by (\d) of \1 replicas\.\n.*\nOther sessions of user corp:eve continue, .*: .*sallyport revoke --user corp:eve --authenticator sessions --config .*: .*sallyport block --user corp:eve --for 8h --config \S+\n$/s,
    );
    expect(await place.reviews(elsewhere)).toEqual([refused, refused]);
    const listed = (await operator.json('token', 'list', '--authenticator', 'sessions')) as {
      tokens: ListedToken[];
    };
    const session = { authenticator: 'corp', device: 'laptop', cluster: 'prod' };
    const own = listed.tokens.filter(
      ({ user, state }) => user.username === 'corp:eve' && state === 'good',
    );
    expect(own).toMatchObject([{ state: 'good', session }]);
    const otherKey = { SALLYPORT_CACHE_KEY: secret(randomBytes(32).toString('base64')) };
    const stranger = operatorIn(dirname(operator.config), otherKey);
    const all = await stranger.json(
      'token',
      'list',
      '--user',
      'corp:eve',
      '--authenticator',
      'sessions',
    );
    const states = (all as { tokens: ListedToken[] }).tokens.map(({ state }) => state);
    expect(states.filter((state) => state !== 'revoked')).toEqual(['sealed with other keys']);
    expect((await stranger.run(['explain', '--user', 'corp:eve'])).stdout).toMatch(
      /\nno sessions\n1 session was sealed with other keys .* so a gateway with this config refuses it\. If those keys were removed, the user must log in again\. Otherwise, find the gateway with other keys: .* check --config /,
    );
    expect(await operator.json('explain', '--user', 'corp:eve')).toMatchObject({
      authenticators: [
        { authenticator: 'sessions', answer: 'known', tokens: 1 },
        { authenticator: 'corp', answer: 'known' },
      ],
    });
    const explained = await operator.run(['explain'], token);
    expect(explained.code).toBe(4);
    expect(explained.stdout).toContain(`\nIf it asks for ${clusters.prod.audience}: {`);
    expect(explained.stdout).toContain(
      `it is a session for the cluster prod: asked for its audience, ${clusters.prod.audience}`,
    );
    expect(explained.stdout).toMatch(/\nk8s-eve +corp:k8s-eve\n/);
    const group = ['--group', 'corp:k8s-eve'];
    expect(await operator.run(['block', ...group, '--for', '1m'])).toMatchObject({ code: 0 });
    expect((await operator.run(['explain'], token)).stdout).toMatch(
      /\nBLOCKED\ngroup corp:k8s-eve, until /,
    );
    expect(await operator.run(['unblock', ...group])).toMatchObject({ code: 0 });
    expect(await operator.run(['block', '--user', 'corp:eve', '--for', '1m'])).toMatchObject({
      code: 0,
    });
    await untilRefused(place, token);
    const { name: username, password } = eve;
    expect(await ask({ body: { username, password, cluster: 'prod' } })).toMatchObject({
      status: 401,
    });
    const revoked = await operator.run(['revoke', '--user', 'corp:eve']);
    expect(revoked.stdout).toContain('1 session revoked');
    expect(
      await operator.run(['revoke', '--user', 'corp:eve', '--authenticator', 'sessions']),
    ).toMatchObject({
      ...{
        code: 3,
        stdout: expect.stringMatching(/\n0 sessions revoked, 2 revoked already\.\n/),
        stderr: '',
      },
    });
    expect(
      await operator.run(['revoke', '--user', 'corp:nina', '--authenticator', 'sessions']),
    ).toMatchObject({
      ...{ code: 3, stdout: expect.stringMatching(/^0 sessions revoked\.\n/) },
      stderr: expect.stringContaining(
        'no session of user corp:nina was issued by authenticator sessions\n',
      ),
    });
  });

  test('is shown and ended by the script for the helpdesk, which takes no option', async () => {
    const { people, ask, logIn, replicas } = place;
    const [{ folder }] = replicas.gateways as [Gateway];
    const token = await logIn(await people.add('jane'), { device: 'laptop' });
    const password = randomToken();
    expect(await ask({ body: { username: 'jane', password, cluster: 'prod' } })).toMatchObject({
      status: 401,
    });
    const helpdesk = await helpdeskIn(folder, replicas.operator.env);
    const said = async (ended: ReturnType<typeof helpdesk.run>) => {
      const { code, stdout, stderr } = await ended;
      expect([code, stderr.replace('sallyport: jane is corp:jane\n', '')]).toEqual([0, '']);
      return stdout;
    };
    const pages = (await blocksOf('docs/helpdesk.md')).flatMap(({ text }) => text.split('\n'));
    const [explain = '', unlock = '', lockouts = '', block = '', logout = '', ...more] =
      pages.flatMap((line) => /^(?:\$ )?(sudo .*)/.exec(line)?.[1] ?? []);
    expect(more).toEqual([]);
    const explained = await said(helpdesk.runLine(explain));
    expect(explained).toMatch(
      /\nnot blocked\nnot locked out: 1 refused attempt .*\n1 session .* on laptop,.*\n\nLAST/s,
    );
    expect(await said(helpdesk.runLine(lockouts))).toContain('corp:jane');
    for (const name of ['jane', 'corp:jane']) {
      expect(await said(helpdesk.run(['sessions', name]))).toMatch(
        /^DIGEST +USER +AGE +EXPIRES +LAST USE +STATE +CLUSTER +DEVICE +ADDRESS\n\S+ +corp:jane .* good +prod +laptop +127\.0\.0\.1\n$/,
      );
    }
    expect(await helpdesk.run(['sessions', 'corp:nobody'])).toMatchObject({
      ...{ code: 3, stdout: '' },
      stderr: expect.stringMatching(
        /^sallyport: authenticator sessions has no session of user corp:nobody\n {2}fix: list all: ask an administrator to run: .*\n$/,
      ),
    });
    expect(await said(helpdesk.runLine(unlock))).toContain(
      'forgot 1 refused attempt of user corp:jane',
    );
    const blocked = await said(helpdesk.runLine(block));
    expect(blocked).toContain('(8h)');
    // Commands that are not of the script are for an administrator.
    expect(blocked).toMatch(
      /: ask an administrator to run: .*sallyport unblock --user corp:jane --config \S+\n$/,
    );
    expect(await said(helpdesk.run(['blocks']))).toMatch(
      /corp:jane .* helen .* laptop stolen, ticket 4712\n/,
    );
    const loggedOut = await said(helpdesk.runLine(logout));
    expect(loggedOut).toContain('1 session revoked');
    expect(loggedOut).toMatch(/The block of user corp:jane stays in force until /);
    await untilRefused(place, token);
    // The commands that are printed are those of the script, and work as they are.
    const printed = [explained, loggedOut].flatMap((text) =>
      text
        .split('\n')
        .flatMap((line) => line.match(/sudo -u sallyport sallyport-helpdesk .*/) ?? []),
    );
    const words = printed.map((line) => line.split(' ').slice(4).join(' '));
    expect(words).toEqual(['unlock corp:jane', 'logout corp:jane']);
    const codes = [];
    for (const line of printed) codes.push((await helpdesk.runLine(line)).code);
    // A status of 3 means that nothing is left to unlock or to end.
    expect(codes).toEqual([3, 3]);
    const bare = await helpdesk.run(['logout', 'jane']);
    expect(bare).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(
        /\n {2}fix: write one of these:\n {4}corp:jane +# known: corp\n$/,
      ),
    });
    // A user or a reason must not be an option, and no other argument is accepted.
    expect(await helpdesk.run(['explain', '--config=other.yaml'])).toMatchObject({ code: 3 });
    for (const words of [
      [],
      ['lockouts', '--config=other.yaml'],
      ['explain', 'jane', '--config=other.yaml'],
      ['unlock', 'corp:jane', 'ticket', '--config=other.yaml'],
      ['block', 'corp:jane'],
      ['serve'],
      ['token', 'create'],
      ['unblock', 'corp:jane'],
      // Who resets the second factor of an administrator could become one.
      ['factor', 'reset', '--user=corp:jane'],
      ['factor', 'invite', 'corp:jane'],
    ]) {
      expect(await helpdesk.run(words)).toMatchObject({
        code: 2,
        stderr: expect.stringMatching(/^Usage: sallyport-helpdesk /),
      });
    }
  });

  test('of a user of the second of two directories needs a login name that the first one does not know', async () => {
    const { people, config, replicas } = place;
    const own = await people.add('gina');
    const password = randomToken();
    const { service, ldapsUrl, suffix } = people.slapd;
    const dc = `dc=partner,${suffix}`;
    const mail = 'gina@partner.example.com';
    await people.slapd.add(
      toLdif([
        { dn: dc, attributes: { objectClass: 'domain' } },
        { dn: `ou=people,${dc}`, attributes: { objectClass: 'organizationalUnit' } },
        {
          dn: `uid=gina,ou=people,${dc}`,
          attributes: {
            objectClass: 'inetOrgPerson',
            cn: 'Gina',
            sn: 'Gina',
            mail,
            userPassword: password,
          },
        },
      ]),
    );
    const page = await blocksOf('docs/identity-policy.md');
    const example = page.find(({ text }) => text.includes('- name: partner'))?.text ?? '';
    const written = example
      .replaceAll(/ldaps:[^\]]*/g, ldapsUrl)
      .replaceAll(/cn=sallyport,[^"]*/g, service.dn)
      .replaceAll(
        'options:\n',
        'options:\n      caFile: tls/ldap-ca.crt\n      serverTimeout: 8s\n',
      );
    const [sessions] = config.authenticators as readonly object[];
    await using gateway = await startGateway({
      config: {
        ...config,
        authenticators: [sessions, ...parse(written).authenticators],
        login: { ...(config.login as object), authenticators: ['corp', 'partner'] },
      },
      files: { ...people.files, 'secrets/partner': secret(service.password) },
      env: replicas.operator.env,
    });
    const logInAs = async (username: string, typed: string) => {
      const answer = await askLogin(loginUrlOf(gateway), {
        body: { username, password: secret(typed), cluster: 'prod' },
      });
      if (answer.status === 201) secret(String(answer.json?.token));
      return answer;
    };
    const named = (username: string) => ({ status: 201, json: { user: { username } } });
    expect(await logInAs('gina', own.password)).toMatchObject(named('corp:gina'));
    // The first one that knows the name has decided.
    expect(await logInAs('gina', password)).toMatchObject({ status: 401 });
    const partner = await logInAs(mail, password);
    expect(partner).toMatchObject(named('partner:gina'));
    using client = http1Client(gateway.url);
    for (const token of [String(partner.json?.token), ldapToken(mail, password)]) {
      expect(await review(client, token, 'v1', [clusters.prod.audience])).toMatchObject({
        user: { username: 'partner:gina' },
      });
    }
    const operator = operatorIn(gateway.folder, replicas.operator.env);
    const { stdout } = await operator.run(['check', '-o', 'json']);
    expect(JSON.parse(stdout).findings).toContainEqual({
      ...{ check: 'shared names', result: 'warning', name: 'shared-names' },
      detail: expect.stringMatching(
        /^corp, partner: .* in a token or at a login, .*docs\/identity-policy\.md$/,
      ),
    });
    await namesOfOneUser(operator, mail);
    // An authenticator that the login server does not ask is named.
    const all = parse(await readFile(operator.config, 'utf8'));
    const less = { ...all, login: { ...all.login, authenticators: ['corp'] } };
    await writeFile(join(gateway.folder, 'less.yaml'), JSON.stringify(less), { mode: 0o600 });
    const words = ['explain', '--user', 'partner:gina', '--config', 'less.yaml'];
    expect(await operator.run(words)).toMatchObject({
      code: 0,
      stdout: expect.stringContaining(
        "\npartner is not in login.authenticators: its users can't log in with kubectl sallyport\n",
      ),
    });
    // A user of the directory is known by a session, a block or a lockout as well, when the directory has deleted the account.
    const hank = await people.add('hank');
    expect(await logInAs('hank', hank.password)).toMatchObject(named('corp:hank'));
    expect(await logInAs('hank', randomToken())).toMatchObject({ status: 401 });
    await people.slapd.modify(`dn: ${hank.dn}\nchangetype: delete\n`);
    for (const name of ['corp:hank', 'partner:hank']) {
      expect(await operator.run(['block', '--user', name, '--for', '1h'])).toMatchObject({
        code: 0,
      });
    }
    expect(await operator.run(['explain', '--user', 'hank'])).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(
        /\n {2}fix: write one of these:\n {4}--user corp:hank +# not known: corp, known: sessions, known: blocks, known: lockouts\n {4}--user partner:hank +# not known: partner, known: blocks\n$/,
      ),
    });
    expect(await operator.run(['unblock', '--user', 'partner:hank'])).toMatchObject({ code: 0 });
    expect(await operator.run(['explain', '--user', 'hank'])).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/\nsessions +known +1 +corp:hank\ncorp +not known\n/),
      stderr: 'sallyport: hank is corp:hank\n',
    });
    expect(await operator.run(['explain', '--user', 'gina'])).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(
        /several users.*\n {2}fix: write one of these:\n {4}--user corp:gina +# known: corp\b.*\n {4}--user partner:gina +# known: partner\b.*\n$/,
      ),
    });
  });

  test('of a user who calls for help is shown by explain with the account, blocks, lockouts and the trail, and what ends them', async () => {
    const { people, ask, logIn, replicas } = place;
    const [{ folder }] = replicas.gateways as [Gateway];
    // The trail is beside the config of the gateway.
    const operator = operatorIn(folder, replicas.operator.env);
    const fay = await people.add('fay', 'k8s-fay');
    await logIn(fay, { device: 'laptop' });
    const block = [
      'block',
      '--group',
      'corp:k8s-fay',
      '--for',
      '1h',
      '--by',
      'eve',
      '--reason',
      'stolen',
    ];
    expect(await operator.run(block)).toMatchObject({ code: 0 });
    for (const password of [fay.password, randomToken()]) {
      expect(await ask({ body: { username: 'fay', password, cluster: 'prod' } })).toMatchObject({
        status: 401,
      });
    }
    await people.slapd.modify(
      toReplacements([{ dn: fay.dn, attributes: { pwdAccountLockedTime: '000001010000Z' } }]),
    );
    const known = { answer: 'known', tokens: 1, account: null };
    expect(await operator.json('explain', '--user', 'fay')).toMatchObject({
      user: 'corp:fay',
      authenticators: [
        { ...known, authenticator: 'sessions' },
        { ...known, authenticator: 'corp', tokens: null, account: 'locked' },
      ],
      blocks: [{ kind: 'group', name: 'corp:k8s-fay', by: 'eve', reason: 'stolen' }],
      lockouts: [{ user: 'corp:fay', refused: 1 }],
      sessions: {
        count: 1,
        newest: { session: { device: 'laptop', cluster: 'prod', address: '127.0.0.1' } },
      },
      audit: [
        {
          event: 'login',
          outcome: 'refused',
          reason: 'invalid-credentials',
          authenticator: 'corp',
          subject: 'fay',
        },
        {
          event: 'login',
          outcome: 'refused',
          reason: 'blocked',
          authenticator: 'corp',
          subject: 'fay',
        },
        { event: 'login', outcome: 'ok', username: 'corp:fay', device: 'laptop' },
      ],
      unread: {},
    });
    const { code, stdout, stderr } = await operator.run(['explain', '--user', 'fay']);
    expect([code, stderr]).toEqual([0, 'sallyport: fay is corp:fay\n']);
    expect(stdout).toContain('\naccount in corp: locked\nblocked as group corp:k8s-fay until ');
    expect(stdout).toMatch(
      /\nTIME .*\n\S+Z +login +refused +invalid-credentials +corp +127\.0\.0\.1\n\S+Z +login +refused +blocked .*\n\S+Z +login +ok /,
    );
    // Each of the commands does what it says.
    const commands = [...stdout.matchAll(/To (?:end|forget) \w+(?: now)?: .*?sallyport (.*)/g)].map(
      ([, words = '']) => words,
    );
    expect(commands.map((words) => words.split(' ')[0])).toEqual(['unblock', 'unlock', 'revoke']);
    for (const words of commands)
      expect(await operator.run(words.split(' '))).toMatchObject({ code: 0 });
    const after = await operator.run(['explain', '--user', 'corp:fay']);
    expect(after.stdout).toMatch(/\nnot blocked\nnot locked out\nno sessions\n/);
  });
});

test('of many concurrent logins of one user, no more than maxSessions live, all are listed, and a logout everywhere ends them', async () => {
  const { people, ask, reviews } = place;
  const { name: username, password } = await people.add('crowd');
  const tokens: string[] = [];
  for (const round of [1, 2, 3]) {
    const logins = Array.from({ length: 10 }, (_, at) => {
      return ask(
        { body: { username, password, cluster: 'prod', device: `${round} ${at}` } },
        at % 2,
      );
    });
    for (const { json } of await Promise.all(logins))
      if (json?.token) tokens.push(secret(String(json.token)));
  }
  // The lockout guard lets this number of attempts of one user wait, and no more.
  expect(tokens.length).toBeGreaterThan(6);
  const inForce = async () => {
    const states = await Promise.all(tokens.map((token) => reviews(token)));
    return tokens.filter((_, at) => states[at]?.some(({ authenticated }) => authenticated));
  };
  const living = await inForce();
  expect(living).toHaveLength(2);
  const [token = ''] = living;
  const listed = await ask({ method: 'GET', path: '/v1/sessions', token });
  const ids = living.map((one) => ({ id: sha256(one).slice(0, 12) }));
  expect(listed.json?.sessions).toHaveLength(2);
  expect(listed.json?.sessions).toMatchObject(
    expect.arrayContaining(ids.map((id) => expect.objectContaining(id))),
  );
  expect(await ask({ method: 'DELETE', path: '/v1/sessions', token })).toMatchObject({
    json: { ended: 2 },
  });
  await waitFor(async () => (await inForce()).length === 0, 'all sessions to be refused');
});

describe('in an outage, a session', () => {
  let own: LoginPlace;
  const entry = (staleTtl: string) => ({
    cache: { authenticatedTtl: '1s', staleTtl },
    circuit: { openFor: '1s' },
  });
  beforeAll(async () => {
    own = await startLogin({ login: { revalidate: '1s' }, entry: entry('10m') });
  });
  afterAll(() => own[Symbol.asyncDispose]());

  /** Waits until the answers to a review are in the shared cache. While its circuit is open, a gateway writes none: then a later one is. */
  async function untilShared(token: string): Promise<void> {
    const before = await cachedAnswers(own.redis);
    const isShared = async () => {
      expect(await own.reviews(token)).toMatchObject([{ authenticated: true }]);
      return (await cachedAnswers(own.redis)).length > before.length;
    };
    await waitFor(isShared, 'an answer in Redis');
  }

  /** Waits until a review was answered by what was known before. */
  async function untilStale(token: string): Promise<void> {
    const { output } = own.replicas.gateways[0] as Gateway;
    const from = output.lines.length;
    const isStale = async () => {
      expect(await own.reviews(token)).toMatchObject([{ authenticated: true }]);
      return output.lines
        .slice(from)
        .some(({ msg, cached }) => msg === 'token review' && cached === 'stale');
    };
    await waitFor(isStale, 'a stale answer');
  }

  test('goes on while the directory is down, and is refused after staleTtl', async () => {
    const { people, logIn, reviews, ask, replicas, config } = own;
    const [gateway] = replicas.gateways as [Gateway];
    const { name: username, password } = await people.add('stale');
    // What is cached about the user of a session that has ended lets no one in: explain does not count it.
    const ended = await logIn({ name: username, password });
    await untilShared(ended);
    expect(await ask({ method: 'DELETE', path: '/v1/session', token: ended })).toMatchObject({
      status: 204,
    });
    const token = await logIn({ name: username, password });
    await untilShared(token);
    const direct = ldapToken(username, password);
    await untilShared(direct);
    const unused = await logIn({ name: username, password });
    await people.slapd.stop();
    await untilStale(token);
    // The login itself is no answer to fall back on.
    const unchecked = { authenticated: false, error: expect.stringContaining('sessions') };
    expect(await reviews(unused)).toEqual([unchecked]);
    const operator = operatorIn(gateway.folder, replicas.operator.env);
    // A command waits for Redis longer than a review may.
    const target = { host: '127.0.0.1', port: own.redis.port };
    await using far = await startFaultProxy({ target, plan: () => ({ kind: 'delay', time: 40 }) });
    const late = parse(await readFile(operator.config, 'utf8'));
    Object.assign(late.cache.redis, { url: `redis://127.0.0.1:${far.port}`, timeout: '10ms' });
    await writeFile(join(gateway.folder, 'slow.yaml'), JSON.stringify(late), { mode: 0o600 });
    // explain says both: what the directory answers now, and what the gateways go on with.
    for (const [name, one, file] of [
      ['sessions', token, 'gateway.yaml'],
      ['corp', direct, 'slow.yaml'],
    ] as const) {
      const asked = ['--audience', clusters.prod.audience];
      const explained = await operator.run(['explain', '--config', file, ...asked], one);
      expect([name, explained.code, explained.stderr], explained.stdout).toEqual([name, 0, '']);
      expect(explained.stdout).toMatch(
        new RegExp(
          `\\n${name} +error .*"authenticated": true.*\\nCACHED ANSWERS\\n${name} can't be asked now\\. Until \\S+Z at the latest, `,
          's',
        ),
      );
    }
    const ofUser = await operator.run(['explain', '--user', `corp:${username}`]);
    expect(ofUser.code).toBe(1);
    expect(ofUser.stdout).toMatch(
      /\ncorp can't be asked now\. The gateways still let corp:stale in by 2 cached answers, until \S+Z at the latest/,
    );
    expect((await operator.run(['explain', '--user', 'corp:bob'])).stdout).toMatch(
      /\ncorp can't be asked now, and no answer about corp:bob is in the cache that the gateways share\n/,
    );
    const unknown = await operator.run(['explain'], ldapToken(username, randomToken()));
    expect(unknown.code).toBe(1);
    expect(unknown.stdout).toMatch(
      /"error": "authenticator corp unavailable".*\nCACHED ANSWERS\ncorp can't be asked now\. The gateways' shared cache contains no answer to this token\. /s,
    );
    // Where the answers can't be read, and all else can, it does not say that there is none.
    const setKeys = (...keys: string[]) => own.redis.client().acl('SETUSER', 'default', ...keys);
    await setKeys('resetkeys', '~sallyport:{revocations}:*');
    const unread = await operator.run(['explain'], direct);
    await setKeys('allkeys');
    expect(unread.stderr).toBe('');
    expect(unread.stdout).toMatch(
      /\nCACHED ANSWERS\ncorp can't be asked now\. The gateways' shared cache can't be read\. A gateway that /,
    );
    expect(await ask({ body: { username, password, cluster: 'prod' } })).toMatchObject({
      status: 503,
      json: { code: 'unavailable' },
    });
    const from = gateway.output.lines.length;
    const [sessions] = config.authenticators as readonly object[];
    const corp = people.authenticator({ entry: entry('2s') });
    await gateway.configure({ ...config, authenticators: [sessions, corp] });
    await gateway.waitForLog('config reloaded', from);
    await waitFor(async () => !(await reviews(token))[0]?.authenticated, 'the end of staleTtl');
    expect(await reviews(token)).toEqual([unchecked]);
    // Logging out needs no directory.
    expect(await ask({ method: 'DELETE', path: '/v1/session', token })).toMatchObject({
      status: 204,
    });
    await people.slapd.start();
    const isRefused = async () => isDeepStrictEqual(await reviews(token), [refused]);
    await waitFor(isRefused, 'the directory to be asked again, and the session to be refused');
    const login = { body: { username, password, cluster: 'prod' } };
    await waitFor(async () => (await ask(login)).status === 201, 'logins to work again');
    const restored = gateway.output.lines.length;
    await gateway.configure(config);
    await gateway.waitForLog('config reloaded', restored);
  });

  test('goes on while its Redis is down, and no one can log in or out then', async () => {
    const { people, redis, logIn, reviews, ask } = own;
    const token = await logIn(people.alice);
    expect(await reviews(token)).toMatchObject([{ authenticated: true }]);
    await redis.stop();
    await untilStale(token);
    const { name: username, password } = people.alice;
    const unavailable = {
      status: 503,
      json: { code: 'unavailable' },
      headers: { 'retry-after': '5' },
    };
    expect(await ask({ body: { username, password, cluster: 'prod' } })).toMatchObject(unavailable);
    expect(await ask({ method: 'DELETE', path: '/v1/session', token })).toMatchObject(unavailable);
    await redis.start();
    const isLoggedOut = async () =>
      (await ask({ method: 'DELETE', path: '/v1/session', token })).status === 204;
    await waitFor(isLoggedOut, 'a logout to work again');
    // This needs no Redis.
    expect(await reviews(token)).toEqual([refused]);
    // A logout asks the session store. A login also asks the cache Redis for attempts, by a connection that may come back later.
    const login = { body: { username, password, cluster: 'prod' } };
    await waitFor(async () => (await ask(login)).status === 201, 'logins to work again');
    const next = await logIn(people.alice);
    await waitFor(
      async () => (await reviews(next))[0]?.authenticated === true,
      'sessions to be looked up again',
    );
  });
});

/** Waits until each replica has polled the cache Redis from beginning to end. */
async function untilPolled({ redis }: LoginPlace): Promise<void> {
  const notes = () => redis.client().hgetall('sallyport:{revocations}:replicas');
  // Each poll begins with another note. One poll may do it twice, if the revocation list has changed.
  for (let count = 0; count < 3; count += 1) {
    const before = await notes();
    const areNew = async () =>
      Object.entries(await notes()).every(([id, note]) => note !== before[id]);
    await waitFor(areNew, 'a poll of each replica');
  }
}

describe('a session that has ended', () => {
  let store: RedisServer;
  let own: LoginPlace;
  beforeAll(async () => {
    store = await startRedis();
    // An outage that is over sooner was not ended by openFor.
    const sessions = { url: store.url, entry: { circuit: { openFor: '1h' } } };
    own = await startLogin({ count: 2, login: { maxSessions: 2 }, sessions });
  });
  afterAll(async () => {
    await own[Symbol.asyncDispose]();
    await store[Symbol.asyncDispose]();
  });
  afterEach(() => store.start());
  // The test before ended with an outage.
  beforeEach(async () => {
    for (const at of own.replicas.gateways.keys()) {
      await waitFor(
        () => own.logIn(own.people.bob, {}, at).catch(() => undefined),
        'each replica to be well',
      );
    }
  });
  const logInAs = async (name: string) => {
    const person = await own.people.add(name);
    return { person, token: await own.logIn(person) };
  };
  const accepted = expect.objectContaining({ authenticated: true });

  test('is refused by all replicas while its Redis hangs', async () => {
    const { ask, logIn, reviews } = own;
    const { token: one } = await logInAs('one');
    const { person, token: first } = await logInAs('all');
    const { person: many, token: excess } = await logInAs('many');
    const { token: other } = await logInAs('other');
    const second = await logIn(person, {}, 1);
    await logIn(many);
    const ended = [one, first, second, excess];
    for (const token of [...ended, other]) {
      await waitFor(
        async () => (await reviews(token)).every(({ authenticated }) => authenticated),
        'both to accept it',
      );
    }
    expect(await ask({ method: 'DELETE', path: '/v1/session', token: one })).toMatchObject({
      status: 204,
    });
    expect(await ask({ method: 'DELETE', path: '/v1/sessions', token: first })).toMatchObject({
      json: { ended: 2 },
    });
    await logIn(many);
    // The replicas that ended a session publish it, and the others read that. No replica is asked about one in between.
    await untilPolled(own);
    await untilPolled(own);
    await store.hang();
    for (const token of ended) expect(await reviews(token)).toEqual([refused, refused]);
    // The last answer about a session that goes on is used.
    expect(await reviews(other)).toEqual([accepted, accepted]);
  });

  test('right after an outage of its Redis is refused immediately by the replica that ended it, and soon by the others', async () => {
    const { ask, reviews, replicas } = own;
    const { token } = await logInAs('late');
    await waitFor(
      async () => (await reviews(token)).every(({ authenticated }) => authenticated),
      'both to accept it',
    );
    const from = replicas.gateways.map(({ output }) => output.lines.length);
    await store.stop();
    const haveOpened = async () => {
      expect(await reviews(token)).toEqual([accepted, accepted]);
      return replicas.gateways.every(({ output }, at) =>
        output.lines.slice(from[at]).some(({ msg }) => msg.startsWith('circuit opened')),
      );
    };
    await waitFor(haveOpened, 'the circuits to open');
    await store.start();
    const isLoggedOut = async () =>
      (await ask({ method: 'DELETE', path: '/v1/session', token })).status === 204;
    await waitFor(isLoggedOut, 'the logout');
    const [first] = await reviews(token);
    expect(first).toEqual(refused);
    await waitFor(
      async () => isDeepStrictEqual(await reviews(token), [refused, refused]),
      'the other replica',
    );
  });
});
