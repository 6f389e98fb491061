import { waitFor } from '@sallyport/test-servers/wait-for';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { connectLdap } from '../connection/connection.ts';
import { answerSuccess, never } from '../connection/testing/connecting.ts';
import type { FakePeer, FakeRequest } from '../connection/testing/fake-peer.ts';
import { startFakeServer } from '../connection/testing/fake-server.ts';
import {
  bindResponse,
  control,
  disconnectionNotice,
  passwordPolicyControl,
  type ResultFields,
} from '../connection/testing/ldap-answers.ts';
import { stopTimers } from '../connection/testing/stopped-timers.ts';
import type { BindResult } from '../connection/types.ts';
import type { LdapOptions } from '../options/types.ts';
import {
  directoryOf,
  directoryOptions,
  outcomeOf,
  searchOnce,
  setUpMemoryServers,
} from './testing/set-up.ts';
import { isUserBind, user, userNumber } from './testing/working-server.ts';

/** Starts a server that answers binds of users when the test says so. */
async function startSilentServer() {
  stopTimers();
  const unanswered: { request: FakeRequest; peer: FakePeer }[] = [];
  const fake = await startFakeServer({
    onRequest: (request, peer) => void unanswered.push({ request, peer }),
  });
  onTestFinished(() => fake[Symbol.asyncDispose]());
  const { directory } = directoryOf(
    directoryOptions([fake.server], { maxUserBinds: 100 }),
    connectLdap,
  );
  onTestFinished(() => directory.close());
  const late: Promise<BindResult>[] = [];
  const onLate = (answer: Promise<BindResult>) => void late.push(answer);
  /** Sends binds concurrently, none of which is answered in time. */
  const bind = async (count: number, more: object = { onLate }) => {
    const binds = Array.from({ length: count }, (_, login) =>
      outcomeOf(directory.bindUser(userNumber(login), { signal: never, ...more })),
    );
    await fake.untilRequests(count);
    vi.advanceTimersByTime(1000);
    for (const outcome of await Promise.all(binds)) {
      expect(outcome).toMatch(/^failed: this login got no answer: .*no answer within 1s/);
    }
  };
  return { fake, directory, unanswered, late, bind };
}

describe('rule 16: late answers', () => {
  test('an answer that comes too late for the login is still passed on, and then the connection ends', async () => {
    const { fake, unanswered, late, bind } = await startSilentServer();
    await bind(1);
    expect([late.length, fake.openSockets]).toEqual([1, 1]);
    for (const { request, peer } of unanswered)
      peer.write(bindResponse({ id: request.id, code: 49 }));
    expect(await late[0]).toMatchObject({ code: 49 });
    await fake.untilClosed();
  });

  test('without onLate the connection ends with the wait', async () => {
    const { fake, bind } = await startSilentServer();
    await bind(1, {});
    await fake.untilClosed();
  });

  test('a server that ends the connection, and a directory that is closed, end the wait', async () => {
    const { directory, unanswered, late, bind } = await startSilentServer();
    await bind(2);
    for (const { peer } of unanswered.slice(0, 1)) peer.end();
    await expect(Promise.race(late)).rejects.toMatchObject({ kind: 'closed' });
    await directory.close();
    for (const answer of late) await expect(answer).rejects.toMatchObject({ kind: 'closed' });
  });

  test('a limited number is waited for: more are a failure of the server', async () => {
    const { fake, late, bind } = await startSilentServer();
    await bind(70);
    expect(late).toHaveLength(64);
    await expect.poll(() => fake.openSockets).toBe(64);
  });
});

type Answer = (request: FakeRequest, peer: FakePeer) => void;

/** Starts a server that answers all with success. A script answers all further binds of users. */
async function setUpReused(more: Partial<LdapOptions> = {}) {
  const peers: FakePeer[] = [];
  let time = 0;
  let answer: Answer = answerSuccess;
  const fake = await startFakeServer({
    onConnection: (peer) => peers.push(peer),
    onRequest: (request, peer) => (isUserBind(request) ? answer : answerSuccess)(request, peer),
  });
  onTestFinished(() => fake[Symbol.asyncDispose]());
  const { directory, lines } = directoryOf(
    directoryOptions([fake.server], { serverTimeout: 60_000, ...more }),
    connectLdap,
    {
      now: () => time,
    },
  );
  onTestFinished(() => directory.close());
  return {
    fake,
    directory,
    lines,
    peers,
    bind: () => outcomeOf(directory.bindUser(user, { signal: never })),
    script: (next: Answer) => {
      answer = next;
    },
    pass: (milliseconds: number) => {
      time += milliseconds;
    },
    sent: () => fake.requests.filter(isUserBind).length,
  };
}

const success = expect.stringContaining('"code":0');

describe('rule 2: a reused connection', () => {
  test('takes the next bind after a right and after a wrong password', async () => {
    const { fake, bind, script } = await setUpReused();
    expect(await bind()).toEqual(success);
    script(({ id }, peer) => peer.write(bindResponse({ id, code: 49 })));
    expect(await bind()).toContain('"code":49');
    script(answerSuccess);
    expect(await bind()).toEqual(success);
    expect([fake.connections, fake.requests.map(({ id }) => id)]).toEqual([1, [2, 3, 4]]);
  });

  test('is not used again after reuseUserConnections: false', async () => {
    const { fake, bind } = await setUpReused({ reuseUserConnections: false });
    for (let login = 0; login < 3; login++) expect(await bind()).toEqual(success);
    await fake.untilClosed();
    expect(fake.connections).toBe(3);
  });

  test.each<{ what: string; spoil: (peer: FakePeer) => void }>([
    { what: 'ended', spoil: (peer) => peer.end() },
    { what: 'reset', spoil: (peer) => peer.reset() },
    { what: 'announced to end', spoil: (peer) => peer.write(disconnectionNotice(52)) },
    { what: 'answered once more', spoil: (peer) => peer.write(bindResponse({ id: 2 })) },
    { what: 'answered before it was asked', spoil: (peer) => peer.write(bindResponse({ id: 3 })) },
    {
      what: 'sent half a message on',
      spoil: (peer) => peer.write(bindResponse({ id: 3 }).subarray(0, 5)),
    },
  ])('that the server has $what is replaced, and no login notices', async ({ spoil }) => {
    const { fake, peers, bind, sent } = await setUpReused();
    expect(await bind()).toEqual(success);
    const [peer] = peers;
    if (peer) spoil(peer);
    await fake.untilClosed();
    expect(await bind()).toEqual(success);
    expect([fake.connections, sent()]).toEqual([2, 2]);
  });

  test.each<{ what: string; fields: Omit<ResultFields, 'id'> }>([
    { what: 'the code 53', fields: { code: 53 } },
    { what: 'a code without a name', fields: { code: 4711 } },
    {
      what: 'a locked account',
      fields: { code: 49, controls: [passwordPolicyControl({ error: 1 })] },
    },
    {
      what: 'a password that must be changed',
      fields: { controls: [passwordPolicyControl({ error: 2 })] },
    },
    {
      what: "389-DS' control",
      fields: { controls: [control('2.16.840.1.113730.3.4.4', Buffer.from('0'))] },
    },
  ])('ends with an answer of $what', async ({ fields }) => {
    const { fake, bind, script } = await setUpReused();
    script(({ id }, peer) => peer.write(bindResponse({ id, ...fields })));
    expect(await bind()).toContain(`"code":${fields.code ?? 0},`);
    await fake.untilClosed();
  });

  test('whose end comes in together with what the login waited for is replaced, and nothing is sent on it', async () => {
    const { fake, directory, peers, bind, sent } = await setUpReused();
    await directory.withService(searchOnce(), { signal: never });
    expect(await bind()).toEqual(success);
    const [service, reused] = peers;
    const search = directory.withService(searchOnce(), { signal: never });
    await fake.untilRequests(4);
    // The answer is written already: both are read in one turn.
    reused?.reset();
    await search;
    expect(await bind()).toEqual(success);
    expect([service?.number, fake.connections, sent()]).toEqual([1, 3, 2]);
  });

  test('ends with its age, and when the TLS files change', async () => {
    const { fake, directory, bind, pass } = await setUpReused({
      pool: { max: 1, idleTimeout: 60_000, maxAge: 9000 },
    });
    await bind();
    pass(9000);
    await bind();
    directory.renewConnections();
    await bind();
    expect(fake.connections).toBe(3);
  });

  test('ends with a caller who leaves', async () => {
    const { fake, directory, bind, script } = await setUpReused();
    await bind();
    const controller = new AbortController();
    script(() => controller.abort(new Error('caller gone')));
    expect(await outcomeOf(directory.bindUser(user, { signal: controller.signal }))).toBe(
      'caller gone',
    );
    await fake.untilClosed();
    script(answerSuccess);
    expect(await bind()).toEqual(success);
    expect(fake.connections).toBe(2);
  });
});

describe('rule 3: a server that fails the second bind on a connection', () => {
  test.each<{ what: string; answer: Answer; outcome: RegExp }>([
    {
      what: 'ends it',
      answer: (_request, peer) => peer.end(),
      outcome: /^failed: this login got no answer: .*closed the connection$/,
    },
    {
      what: 'resets it',
      answer: (_request, peer) => peer.reset(),
      outcome: /^failed: this login got no answer: .*broke/,
    },
    {
      what: 'sends something else',
      answer: ({ id }, peer) => peer.write(bindResponse({ id: id + 1 })),
      outcome: /^unavailable: /,
    },
    {
      what: 'calls it out of place',
      answer: ({ id }, peer) => peer.write(bindResponse({ id, code: 1 })),
      outcome: /"code":1,/,
    },
  ])(
    'and $what gets the password once, and then new connections for a minute',
    async ({ answer, outcome }) => {
      const { fake, bind, script, pass, sent, lines } = await setUpReused();
      await Promise.all([bind(), bind()]);
      script(answer);
      expect(await bind()).toMatch(outcome);
      expect(sent()).toBe(3);
      script(answerSuccess);
      for (let login = 0; login < 2; login++) expect(await bind()).toEqual(success);
      expect(fake.connections).toBe(4);
      pass(60_000);
      for (let login = 0; login < 2; login++) expect(await bind()).toEqual(success);
      expect(fake.connections).toBe(5);
      const warned = lines.filter(({ message }) =>
        message.startsWith('second bind on a connection failed'),
      );
      expect(warned).toMatchObject([
        { level: 'warn', fields: { server: fake.server.url, pause: '60s' } },
      ]);
    },
  );

  test('which is no reason against a server that ended its first', async () => {
    const { fake, bind, script, lines } = await setUpReused();
    script((_request, peer) => peer.end());
    expect(await bind()).toMatch(/^failed: /);
    script(answerSuccess);
    for (let login = 0; login < 2; login++) expect(await bind()).toEqual(success);
    expect([fake.connections, lines]).toEqual([2, []]);
  });

  test('which is no reason against it when the directory was closed in between', async () => {
    const { directory, server, lines } = setUpMemoryServers(1);
    await directory.bindUser(user, { signal: never });
    server(0).binding = 'hang';
    const login = outcomeOf(directory.bindUser(user, { signal: never }));
    await waitFor(() => server(0).binds.length === 2, 'the second bind');
    await directory.close();
    expect([await login, server(0).connects, lines]).toEqual([
      'unavailable: the directory is closed',
      1,
      [],
    ]);
  });
});

test('rule 2: a connection that was not used for 10 s is closed', async () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const { directory, server } = setUpMemoryServers(1);
  await directory.bindUser(user, { signal: never });
  await vi.advanceTimersByTimeAsync(9_999);
  expect(server(0).openConnections).toBe(1);
  await vi.advanceTimersByTimeAsync(1);
  expect(server(0).openConnections).toBe(0);
  await directory.close();
});

test('rule 2: when a search finds its connection dead, no other connection of the server is reused', async () => {
  stopTimers();
  const { directory, server } = setUpMemoryServers(1);
  await directory.withService(searchOnce(), { signal: never });
  await directory.bindUser(user, { signal: never });
  server(0).connections[0]?.deaden();
  const search = directory.withService(searchOnce(), { signal: never });
  await vi.advanceTimersByTimeAsync(1000);
  await search;
  expect([server(0).connects, server(0).openConnections]).toEqual([3, 1]);
  await directory.close();
});

test('rule 2: a circuit that opens closes idle connections', async () => {
  const { directory, server } = setUpMemoryServers(1, {
    circuit: { failures: 1, probeInterval: 600_000 },
  });
  await directory.bindUser(user, { signal: never });
  server(0).connecting = 'unreachable';
  await outcomeOf(directory.withService(searchOnce(), { signal: never }));
  expect(server(0).openConnections).toBe(0);
  await directory.close();
});

test.each([
  { name: 'sent, and not answered', behavior: { binding: 'closed' }, count: 1 },
  {
    name: 'sent, and answered with bytes that are no answer',
    behavior: { binding: 'protocol' },
    count: 1,
  },
  { name: 'not sent', behavior: { connecting: 'unreachable' }, count: 0 },
  { name: 'answered by a server that is busy', behavior: { binding: 51 }, count: 0 },
  { name: 'answered with a refusal', behavior: { binding: 49 }, count: 0 },
] as const)(
  'rule 3: reports a bind that the server may have counted: $name',
  async ({ behavior, count }) => {
    const { directory, server } = setUpMemoryServers(1);
    Object.assign(server(0), behavior);
    const onUnanswered = vi.fn();
    await outcomeOf(directory.bindUser(user, { signal: never, onUnanswered }));
    expect(onUnanswered).toHaveBeenCalledTimes(count);
  },
);
