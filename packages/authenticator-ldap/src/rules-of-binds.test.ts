import { waitFor } from '@sallyport/test-servers/wait-for';
import { describe, expect, test } from 'vitest';
import type { FakeRequest } from './testing/fake-peer.ts';
import { bindResponse, control, passwordPolicyControl, resultMessage } from './testing/ldap-answers.ts';
import { groupsBase } from './testing/ldap-options.ts';
import {
  aliceDn,
  aliceFound,
  alicePassword,
  answer,
  gatewayTo,
  loggedIn,
  serveLogins,
  serveRequests,
  serviceDn,
  servicePassword,
  userBindsOf,
} from './testing/scripted-logins.ts';

/** Of the rules in RULES.md; those of the wire are tested with it. */

const authenticated = { kind: 'authenticated', user: { username: 'alice', groups: [] } };

describe('rule 1: no empty name, password or DN', () => {
  test('the user found has an empty DN: no bind is sent but a decoy', async () => {
    const fake = await serveLogins({ users: answer([{ dn: '', attributes: { uid: ['alice'] } }]) });
    const { logIn } = await gatewayTo([fake]);
    await expect(logIn()).rejects.toMatchObject({ code: 'failed', message: expect.stringContaining('an empty DN') });
    expect(userBindsOf(fake).map(({ dn }) => dn)).toEqual([expect.stringMatching(/^cn=[0-9a-f]{32},/)]);
  });

  test.each([
    ['no password', 'alice', ''],
    ['no name', '', alicePassword],
    ['a NUL in the name', 'alice\0', alicePassword],
  ])('%s: nothing is asked', async (_what, username, secret) => {
    const fake = await serveLogins();
    const { logIn } = await gatewayTo([fake]);
    expect(await logIn(username, secret)).toEqual({ kind: 'no-opinion' });
    expect(fake.connections).toBe(0);
  });
});

test('rule 2: users bind on connections that are used for nothing else, and searches are the service account', async () => {
  const users = new Map<number, string[]>();
  const fake = await serveRequests((request, peer) => {
    const { operation, dn, password, id } = request;
    const what = operation === 'bind' ? `bind ${dn} ${password === servicePassword}` : `${operation} ${dn}`;
    users.set(peer.number, [...(users.get(peer.number) ?? []), what]);
    if (operation === 'bind') peer.write(bindResponse({ id }));
    if (operation === 'search') peer.write(...(dn === groupsBase ? answer([]) : aliceFound)(request));
  });
  const { logIn, close } = await gatewayTo([fake]);
  const count = 20;
  const decisions = await Promise.all(Array.from({ length: count }, () => logIn()));
  expect(decisions).toEqual(decisions.map(() => authenticated));
  await close();
  await fake.untilClosed();
  const connections = [...users.values()].map((done) => done.filter((what) => !what.startsWith('unbind')));
  const bind = `bind ${aliceDn} false`;
  expect(connections.flat().filter((what) => what === bind)).toHaveLength(count);
  for (const [first, ...others] of connections) {
    const expected = first === bind ? bind : 'search';
    expect([bind, `bind ${serviceDn} true`]).toContain(first);
    expect(others.every((what) => what.startsWith(expected))).toBe(true);
  }
});

describe('rule 6: success is a bind response with code 0 and no complaint', () => {
  test('with no control, or one that only warns', async () => {
    for (const controls of [
      [],
      [passwordPolicyControl({ graceLogins: 3 })],
      [passwordPolicyControl({ secondsToExpiry: 9 })],
    ]) {
      const bind = ({ id }: FakeRequest) => [bindResponse({ id, controls })];
      expect((await loggedIn({ bind })).decision).toEqual(authenticated);
    }
  });

  test.each([
    ['that the password must be changed', [passwordPolicyControl({ error: 2 })], 'password-expired'],
    ['that the password is expired', [passwordPolicyControl({ error: 0 })], 'password-expired'],
    ['that the account is locked', [passwordPolicyControl({ error: 1 })], 'locked'],
    ["389-DS' control", [control('2.16.840.1.113730.3.4.4', Buffer.from('0'))], 'password-expired'],
  ])('code 0 with %s is refused', async (_what, controls, reason) => {
    const bind = ({ id }: FakeRequest) => [bindResponse({ id, controls })];
    expect((await loggedIn({ bind })).decision).toEqual({ kind: 'rejected', reason, subject: 'alice' });
  });

  test.each([
    ['another password policy error', passwordPolicyControl({ error: 7 })],
    ['a control that cannot be read', control('1.3.6.1.4.1.42.2.27.8.5.1', Buffer.from('nonsense'))],
  ])('code 0 with %s could not be checked', async (_what, complaint) => {
    const fake = await serveLogins({ bind: ({ id }) => [bindResponse({ id, controls: [complaint] })] });
    const { logIn, attempts } = await gatewayTo([fake]);
    await expect(logIn()).rejects.toMatchObject({ name: 'AuthenticatorError' });
    expect(attempts).toMatchObject([{ outcome: 'unavailable' }]);
  });

  test.each([0x65, 0x67, 0x69, 0x6b, 0x78])('an answer with the tag %i and code 0 is none', async (tag) => {
    const fake = await serveLogins({ bind: ({ id }) => [resultMessage(tag, { id })] });
    const { logIn, attempts } = await gatewayTo([fake]);
    await expect(logIn()).rejects.toMatchObject({ code: 'unavailable' });
    expect(attempts).toMatchObject([{ outcome: 'unavailable' }]);
  });
});

describe('rule 7: a refusal is a refusal, and an outage never is', () => {
  test.each([
    [49, 'invalid-credentials'],
    [19, 'locked'],
    [53, 'disabled'],
  ])('code %i is refused as %s', async (code, reason) => {
    const { decision, attempts } = await loggedIn({ bind: ({ id }) => [bindResponse({ id, code })] });
    expect(decision).toEqual({ kind: 'rejected', reason, subject: 'alice' });
    expect(attempts).toMatchObject([{ outcome: 'refused' }]);
  });

  test.each([
    [8, 'unavailable', 'only over TLS'],
    [51, 'unavailable', 'busy'],
    [52, 'unavailable', 'unavailable'],
    [1, 'failed', 'result code 1,'],
    [80, 'failed', 'result code 80,'],
    [9, 'failed', 'result code 9,'],
    [4096, 'failed', 'result code 4096,'],
  ])('code %i is %s', async (code, error, text) => {
    const fake = await serveLogins({ bind: ({ id }) => [bindResponse({ id, code })] });
    const { logIn, attempts } = await gatewayTo([fake]);
    await expect(logIn()).rejects.toMatchObject({ code: error, message: expect.stringContaining(text) });
    expect(attempts).toMatchObject([{ outcome: 'unavailable' }]);
  });

  test('a connection that ends in the middle of a bind is no refusal, and a matter of this login', async () => {
    const fake = await serveRequests((request, peer) => {
      if (request.operation === 'search') peer.write(...aliceFound(request));
      else if (request.dn === serviceDn) peer.write(bindResponse({ id: request.id }));
      else peer.end();
    });
    const { logIn } = await gatewayTo([fake]);
    await expect(logIn()).rejects.toMatchObject({ code: 'failed' });
  });
});

describe('rule 16: logins in flight are bounded, and a refused password is tried on one server only', () => {
  test('an attempt is open for as long as the server works on its bind, and is settled with the late answer', async () => {
    const answers: (() => void)[] = [];
    const fake = await serveRequests((request, peer) => {
      const { operation, dn, id } = request;
      if (operation === 'search') peer.write(...aliceFound(request));
      else if (dn === serviceDn) peer.write(bindResponse({ id }));
      else if (operation === 'bind') answers.push(() => peer.write(bindResponse({ id, code: 49 })));
    });
    const { logIn, attempts } = await gatewayTo([fake], { serverTimeout: '100ms' });
    await expect(logIn()).rejects.toMatchObject({
      code: 'failed',
      message: expect.stringContaining('no answer within 100ms'),
    });
    expect(attempts.map(({ outcome }) => outcome)).toEqual([undefined]);
    answers[0]?.();
    await waitFor(async () => attempts[0]?.outcome === 'refused', 'the late answer to be reported');
  });

  test('the answer of another server settles it at once', async () => {
    const silent = await serveRequests((request, peer) => {
      if (request.operation === 'search') peer.write(...aliceFound(request));
      else if (request.dn === serviceDn) peer.write(bindResponse({ id: request.id }));
    });
    const { logIn, attempts, close } = await gatewayTo([silent, await serveLogins()], { serverTimeout: '200ms' });
    expect(await logIn()).toEqual(authenticated);
    expect(attempts.map(({ outcome }) => outcome)).toEqual(['accepted']);
    // The first one's answer is no longer waited for: that its connection ends is heard by no one.
    await close();
    await silent.untilClosed();
  });

  test('and until the groups are found', async () => {
    const { promise: asked, resolve: onAsked } = Promise.withResolvers<() => void>();
    const fake = await serveRequests((request, peer) => {
      const { operation, dn, id } = request;
      const answerSearch = () => peer.write(...(dn === groupsBase ? answer([]) : aliceFound)(request));
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

  test('a refusal is final', async () => {
    const refusing = ({ id }: FakeRequest) => [bindResponse({ id, code: 49 })];
    const [first, second] = [await serveLogins({ bind: refusing }), await serveLogins()];
    const { logIn } = await gatewayTo([first, second]);
    expect(await logIn()).toMatchObject({ kind: 'rejected', reason: 'invalid-credentials' });
    expect(userBindsOf(first)).toHaveLength(1);
    expect(second.connections).toBe(0);
  });

  test('no more users bind at one time than the limit', async () => {
    const bound = 3;
    let most = 0;
    const waiting: (() => void)[] = [];
    const answerAll = () => {
      most = Math.max(most, waiting.length);
      for (const give of waiting.splice(0)) give();
    };
    const fake = await serveRequests((request, peer) => {
      const { operation, dn, id } = request;
      if (operation === 'search') return peer.write(...aliceFound(request));
      if (operation !== 'bind') return;
      if (dn === serviceDn) return peer.write(bindResponse({ id }));
      waiting.push(() => peer.write(bindResponse({ id })));
      // Some turns later, so that one too many could come in.
      if (waiting.length === bound) setTimeout(answerAll, 20);
    });
    const { logIn } = await gatewayTo([fake], { maxUserBinds: bound, groups: undefined });
    const decisions = await Promise.all(Array.from({ length: 30 }, () => logIn()));
    expect(decisions.every(({ kind }) => kind === 'authenticated')).toBe(true);
    expect(most).toBe(bound);
  });
});
