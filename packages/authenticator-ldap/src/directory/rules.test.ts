import { describe, expect, test } from 'vitest';
import { connect } from '../connection/connection.ts';
import type { LdapOptions } from '../options/types.ts';
import { answerSuccess } from '../testing/connecting.ts';
import type { FakePeer, FakeRequest } from '../testing/fake-peer.ts';
import { type FakeServer, startFakeServer } from '../testing/fake-server.ts';
import { bindResponse, control, passwordPolicyControl, type ResultFields } from '../testing/ldap-answers.ts';
import { directoryOf, ldapOptions, never, outcomeOf, searchOnce } from './testing/set-up.ts';
import {
  isUserBind,
  startRefusingServer,
  startWorkingServer,
  user,
  userBinds,
  userNumber,
} from './testing/working-server.ts';

function directoryAt(servers: readonly FakeServer[], more: Partial<LdapOptions> = {}) {
  return directoryOf(
    ldapOptions(
      servers.map(({ server }) => server),
      more,
    ),
    connect,
  );
}

/** Answers in the wrong way until it is fixed. */
async function startFixableServer(wrong: (request: FakeRequest, peer: FakePeer) => void) {
  let isFixed = false;
  const server = await startFakeServer({
    onRequest: (request, peer) => (isFixed ? answerSuccess(request, peer) : wrong(request, peer)),
  });
  return {
    server,
    fix: () => {
      isFixed = true;
    },
  };
}

describe('rule 2: users bind on connections that are used for nothing else', () => {
  test('one bind after another, and no search ever runs there', async () => {
    const used = new Map<number, FakeRequest['operation'][]>();
    await using server = await startWorkingServer({
      onRequest(request, peer) {
        used.set(peer.number, [...(used.get(peer.number) ?? []), request.operation]);
        answerSuccess(request, peer);
      },
    });
    const { directory } = directoryAt([server]);
    await directory.withService(searchOnce(), { signal: never });
    for (let login = 0; login < 3; login++) {
      await directory.bindUser(user, { signal: never });
      await directory.withService(searchOnce(), { signal: never });
    }
    await directory.close();
    await server.untilClosed();
    const withoutUnbind = [...used.values()].map((operations) => operations.filter((one) => one !== 'unbind'));
    expect(withoutUnbind).toEqual([
      ['bind', 'search', 'search', 'search', 'search'],
      ['bind', 'bind', 'bind'],
    ]);
  });

  test.each<readonly [string, Omit<ResultFields, 'id'>]>([
    ['the code 53', { code: 53 }],
    ['a code without a name', { code: 4711 }],
    ['a locked account', { code: 49, controls: [passwordPolicyControl({ error: 1 })] }],
    ['a password that must be changed', { controls: [passwordPolicyControl({ error: 2 })] }],
    ["389-DS' control", { controls: [control('2.16.840.1.113730.3.4.4', Buffer.from('0'))] }],
  ])('%s ends the connection', async (_what, answer) => {
    await using server = await startWorkingServer({
      onRequest: (request, peer) => peer.write(bindResponse({ id: request.id, ...answer })),
    });
    const { directory } = directoryAt([server]);
    const { value } = await directory.bindUser(user, { signal: never });
    expect(value.code).toBe(answer.code ?? 0);
    await server.untilClosed();
    await directory.close();
  });
});

describe('rule 3: failover and retry are our own, and nothing is queued', () => {
  test.each<readonly [string, 'failed' | 'unavailable', (request: FakeRequest, peer: FakePeer) => void]>([
    ['was silent', 'failed', () => {}],
    ['reset', 'failed', (_request, peer) => peer.reset()],
    ['was busy', 'unavailable', ({ id }, peer) => peer.write(bindResponse({ id, code: 51 }))],
  ])('no bind is replayed when a server that %s is back', async (_what, code, wrong) => {
    const { server, fix } = await startFixableServer(wrong);
    await using fake = server;
    const back = Promise.withResolvers<void>();
    const options = ldapOptions([fake.server], {
      serverTimeout: 200,
      circuit: { failures: 3, probeInterval: 20 },
    });
    const { directory } = directoryOf(options, connect, {
      logger: { debug: () => {}, info: () => back.resolve(), warn: () => {}, error: () => {} },
    });
    const outcomes = await Promise.all(
      Array.from({ length: 8 }, (_, login) => outcomeOf(directory.bindUser(userNumber(login), { signal: never }))),
    );
    expect(outcomes.filter((outcome) => outcome.startsWith(`${code}: `))).toHaveLength(8);
    const sent = userBinds(fake).length;
    fix();
    if (code === 'unavailable') await back.promise;
    // After everything that could have been queued for later.
    await directory.withService(searchOnce(), { signal: never });
    expect([sent, userBinds(fake).length]).toEqual([8, 8]);
    await directory.close();
  });
});

describe('rule 7: refused is not down', () => {
  test.each([49, 19, 53, 8, 1, 4711])(
    'an answer with %d is final: no other server is asked, no circuit moves',
    async (code) => {
      await using first = await startRefusingServer(code);
      await using second = await startWorkingServer();
      const { directory, values } = directoryAt([first, second], { circuit: { failures: 1, probeInterval: 600_000 } });
      const { value, server } = await directory.bindUser(user, { signal: never });
      expect([value.code, server.url]).toEqual([code, first.server.url]);
      expect([second.connections, values.get(`server_circuit_state{server=${first.server.url}}`)]).toEqual([0, 0]);
      await directory.close();
    },
  );

  test.each([51, 52])('an answer with %d is an outage: the next server is asked', async (code) => {
    await using first = await startRefusingServer(code);
    await using second = await startWorkingServer();
    const { directory, values } = directoryAt([first, second], { circuit: { failures: 1, probeInterval: 600_000 } });
    const { value, server } = await directory.bindUser(user, { signal: never });
    expect([value.code, server.url]).toEqual([0, second.server.url]);
    expect(values.get(`server_circuit_state{server=${first.server.url}}`)).toBe(2);
    await directory.close();
  });

  test('no answer of any server is a throw, and never a refusal', async () => {
    await using first = await startFakeServer();
    await using second = await startFakeServer({ onRequest: (_request, peer) => peer.end() });
    const { directory } = directoryAt([first, second], { serverTimeout: 200 });
    const outcome = await outcomeOf(directory.bindUser(user, { signal: never }));
    expect(outcome).toMatch(/^failed: this login got no answer: /);
    expect([outcome.includes(first.server.url), outcome.includes(second.server.url)]).toEqual([true, true]);
    await directory.close();
  });
});

describe('rule 16: logins in flight are bounded, and a wrong password is tried once', () => {
  test('a bind answered 49 is seen by one server only, whichever is asked first', async () => {
    await using first = await startRefusingServer(49);
    await using second = await startRefusingServer(49);
    for (const order of ['listed', 'spread'] as const) {
      const { directory } = directoryAt([first, second], { order });
      const before = userBinds(first).length + userBinds(second).length;
      for (let login = 0; login < 4; login++) await directory.bindUser(user, { signal: never });
      expect(userBinds(first).length + userBinds(second).length - before).toBe(4);
      await directory.close();
    }
  });

  test('no more user binds than maxUserBinds are in progress, and the others follow in their order', async () => {
    const held: (() => void)[] = [];
    let most = 0;
    await using server = await startFakeServer({
      onRequest(request, peer) {
        if (!isUserBind(request)) return;
        held.push(() => answerSuccess(request, peer));
        most = Math.max(most, held.length);
      },
    });
    const { directory } = directoryAt([server], { maxUserBinds: 2, serverTimeout: 5000 });
    const ended: number[] = [];
    const binds = [0, 1, 2, 3, 4, 5].map((login) =>
      directory.bindUser(user, { signal: never }).then(() => ended.push(login)),
    );
    for (let login = 0; login < 6; login++) {
      await server.untilRequests(Math.min(2 + login, 6));
      held.shift()?.();
      await binds[login];
    }
    expect([most, ended, server.connections]).toEqual([2, [0, 1, 2, 3, 4, 5], 2]);
    await directory.close();
  });

  test('a caller that waits too long for a slot learns which limit to raise, and it is no outage', async () => {
    await using server = await startFakeServer();
    const { directory } = directoryAt([server], { maxUserBinds: 1, serverTimeout: 100 });
    const controller = new AbortController();
    const first = outcomeOf(directory.bindUser(user, { signal: controller.signal }));
    const second = outcomeOf(directory.bindUser(user, { signal: controller.signal }));
    const third = new AbortController();
    const aborted = outcomeOf(directory.bindUser(user, { signal: third.signal }));
    third.abort(new Error('caller gone'));
    expect(await aborted).toBe('caller gone');
    const [one, two] = await Promise.all([first, second]);
    expect(one).toMatch(/^failed: this login got no answer: /);
    expect(two).toBe('failed: all 1 user binds are in progress: raise maxUserBinds');
    await directory.close();
  });
});
