import { describe, expect, test, vi } from 'vitest';
import { ber } from './connection/testing/ber.ts';
import type { FakePeer, FakeRequest } from './connection/testing/fake-peer.ts';
import { bindResponse, disconnectionNotice } from './connection/testing/ldap-answers.ts';
import { stopTimers } from './connection/testing/stopped-timers.ts';
import { groupsBase } from './options/testing/ldap-options.ts';
import {
  aliceDn,
  aliceFound,
  alicePassword,
  answer,
  filterOf,
  gatewayTo,
  serveLogins,
  serveRequests,
  serviceDn,
  servicePassword,
  userBindsOf,
} from './testing/scripted-logins.ts';

/** These tests prove rules of RULES.md for several steps of a login, from the token to the bytes. */

const authenticated = { kind: 'authenticated', user: { username: 'alice', groups: [] } };

test('rule 2: users bind on connections that are used for nothing else, and searches are the service account', async () => {
  const users = new Map<number, string[]>();
  const fake = await serveRequests((request, peer) => {
    const { operation, dn, password, id } = request;
    const what =
      operation === 'bind' ? `bind ${dn} ${password === servicePassword}` : `${operation} ${dn}`;
    users.set(peer.number, [...(users.get(peer.number) ?? []), what]);
    if (operation === 'bind') peer.write(bindResponse({ id }));
    if (operation === 'search')
      peer.write(...(dn === groupsBase ? answer([]) : aliceFound)(request));
  });
  const { logIn, close } = await gatewayTo([fake]);
  const count = 20;
  const decisions = await Promise.all(Array.from({ length: count }, () => logIn()));
  expect(decisions).toEqual(decisions.map(() => authenticated));
  await close();
  await fake.untilClosed();
  const connections = [...users.values()].map((done) =>
    done.filter((what) => !what.startsWith('unbind')),
  );
  const bind = `bind ${aliceDn} false`;
  expect(connections.flat().filter((what) => what === bind)).toHaveLength(count);
  for (const [first, ...others] of connections) {
    const expected = first === bind ? bind : 'search';
    expect([bind, `bind ${serviceDn} true`]).toContain(first);
    expect(others.every((what) => what.startsWith(expected))).toBe(true);
  }
});

test.each([
  ...[
    'cn=al\\5C69ce,dc=x',
    'CN=R\\+D,DC=x',
    'cn=trail\\20,dc=x',
    'CN=Gr\\C3\\BCn,DC=x',
    'cn=(a*b)\\00,dc=x',
  ],
  ...['cn;lang-en=x,dc=x', 'not a dn', 'EXTERNAL'],
])(
  'rule 10: %s is sent as the directory sent it, in the bind, in the filter, and level by level',
  async (dn) => {
    const group = `cn=grp\\5C,${dn}`;
    const fake = await serveLogins({
      users: answer([{ dn, attributes: { uid: ['alice'] } }]),
      groups: (request) =>
        (request.bytes.includes(group)
          ? answer([])
          : answer([{ dn: group, attributes: { cn: ['g'] } }]))(request),
    });
    const { logIn, attempts } = await gatewayTo([fake], {
      groups: { base: groupsBase, filter: '(member={dn})', nested: true },
    });
    expect(await logIn()).toMatchObject({ kind: 'authenticated', user: { groups: ['g'] } });
    expect(userBindsOf(fake)).toMatchObject([{ dn, password: alicePassword }]);
    expect(attempts).toMatchObject([{ subject: dn }]);
    const searches = fake.requests.filter(({ operation }) => operation === 'search');
    const member = (value: string) => ber(0xa3, ber(0x04, 'member'), ber(0x04, value));
    expect(searches.slice(1).map(filterOf)).toEqual([member(dn), member(group)]);
  },
);

describe('rule 16: an attempt is open', () => {
  /** Starts a server that answers the bind of a user when the test says so. */
  async function startSlow() {
    stopTimers();
    const unanswered: ((code: number) => void)[] = [];
    const bound = Promise.withResolvers<void>();
    const fake = await serveRequests((request, peer) => {
      const { operation, dn, id } = request;
      if (operation === 'search') peer.write(...aliceFound(request));
      else if (dn === serviceDn) peer.write(bindResponse({ id }));
      else if (operation === 'bind') {
        unanswered.push((code) => peer.write(bindResponse({ id, code })));
        bound.resolve();
      }
    });
    const pass = async () => {
      await bound.promise;
      vi.advanceTimersByTime(30_000);
    };
    return { fake, unanswered, pass };
  }

  test('for as long as the server works on its bind, and is settled with the late answer', async () => {
    const { fake, unanswered, pass } = await startSlow();
    const { logIn, attempts } = await gatewayTo([fake]);
    const login = logIn();
    login.catch(() => {});
    await pass();
    await expect(login).rejects.toMatchObject({
      message: expect.stringContaining('no answer within 30s'),
    });
    expect(attempts.map(({ outcome }) => outcome)).toEqual([undefined]);
    unanswered[0]?.(49);
    await expect.poll(() => attempts[0]?.outcome).toBe('refused');
  });

  test('until the connection of its late bind ends, and then counts as sent', async () => {
    const { fake, pass } = await startSlow();
    const { logIn, attempts, close } = await gatewayTo([fake]);
    const login = logIn();
    login.catch(() => {});
    await pass();
    await expect(login).rejects.toThrow('no answer within 30s');
    await close();
    await expect.poll(() => attempts[0]?.outcome).toBe('unanswered');
  });

  test('until another server has answered', async () => {
    const { fake, pass } = await startSlow();
    const { logIn, attempts, close } = await gatewayTo([fake, await serveLogins()]);
    const login = logIn();
    await pass();
    expect(await login).toEqual(authenticated);
    expect(attempts.map(({ outcome }) => outcome)).toEqual(['accepted']);
    // No one waits for the answer of the first server any more, or notices that its connection ends.
    await close();
    await fake.untilClosed();
  });

  test('until the groups are found', async () => {
    const { promise: asked, resolve: onAsked } = Promise.withResolvers<() => void>();
    const fake = await serveRequests((request, peer) => {
      const { operation, dn, id } = request;
      const answerSearch = () =>
        peer.write(...(dn === groupsBase ? answer([]) : aliceFound)(request));
      if (operation === 'bind') peer.write(bindResponse({ id }));
      else if (dn === groupsBase) onAsked(answerSearch);
      else if (operation === 'search') answerSearch();
    });
    const { logIn, attempts } = await gatewayTo([fake]);
    const login = logIn();
    const answerGroups = await asked;
    expect(attempts.map(({ outcome }) => outcome)).toEqual([undefined]);
    answerGroups();
    expect(await login).toEqual(authenticated);
    expect(attempts.map(({ outcome }) => outcome)).toEqual(['accepted']);
  });
});

describe('rule 3: a password that was sent counts as sent', () => {
  /** Starts a server that does this with the binds of users. */
  const serveBinds = (onBind: (request: FakeRequest, peer: FakePeer) => void) =>
    serveRequests((request, peer) => {
      if (request.operation === 'search')
        peer.write(...(request.dn === groupsBase ? answer([]) : aliceFound)(request));
      else if (request.dn === serviceDn) peer.write(bindResponse({ id: request.id }));
      else if (request.operation === 'bind') onBind(request, peer);
    });
  const answering = (code: number) =>
    serveBinds(({ id }, peer) => peer.write(bindResponse({ id, code })));

  test.each<{ name: string; onBind: (request: FakeRequest, peer: FakePeer) => void }>([
    { name: 'the server closes the connection', onBind: (_, peer) => peer.end() },
    { name: 'the server resets the connection', onBind: (_, peer) => peer.reset() },
    {
      name: 'a part of the answer comes',
      onBind: ({ id }, peer) => {
        peer.write(bindResponse({ id, code: 49 }).subarray(0, 5));
        peer.end();
      },
    },
    {
      name: 'the server says that it stops',
      onBind: (_, peer) => peer.write(disconnectionNotice(52)),
    },
    {
      name: 'the answer is no LDAP',
      onBind: (_, peer) => peer.write(Buffer.from('HTTP/1.1 400 Bad Request')),
    },
  ])('when $name', async ({ onBind }) => {
    const fake = await serveBinds(onBind);
    const { logIn, attempts } = await gatewayTo([fake]);
    await expect(logIn()).rejects.toMatchObject({ name: 'AuthenticatorError' });
    expect(userBindsOf(fake)).toHaveLength(1);
    expect(attempts.map(({ outcome }) => outcome)).toEqual(['unanswered']);
  });

  test.each([
    { code: 0, outcome: 'accepted' },
    { code: 49, outcome: 'refused' },
    // Busy, and an answer that says nothing about the password.
    { code: 51, outcome: 'unanswered' },
    { code: 80, outcome: 'unanswered' },
  ])('unless another server says more: $code is $outcome', async ({ code, outcome }) => {
    const silent = await serveBinds((_, peer) => peer.end());
    const { logIn, attempts } = await gatewayTo([silent, await answering(code)]);
    await logIn().catch(() => {});
    expect(userBindsOf(silent)).toHaveLength(1);
    expect(attempts.map((attempt) => attempt.outcome)).toEqual([outcome]);
  });
});
