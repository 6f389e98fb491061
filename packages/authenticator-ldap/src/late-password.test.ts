import { randomBytes } from 'node:crypto';
import { getHeapSnapshot } from 'node:v8';
import { expect, test, vi } from 'vitest';
import type { FakeRequest } from './connection/testing/fake-peer.ts';
import { bindResponse } from './connection/testing/ldap-answers.ts';
import { stopTimers } from './connection/testing/stopped-timers.ts';
import { aliceFound, gatewayTo, serveRequests, serviceDn } from './testing/scripted-logins.ts';

const mark = 'password that is late ';

/** Finds the passwords of this test that are in memory. */
async function passwordsInMemory(): Promise<ReadonlySet<string>> {
  const found = new Set<string>();
  let rest = '';
  for await (const chunk of getHeapSnapshot()) {
    const text = rest + chunk;
    for (const [password] of text.matchAll(new RegExp(`${mark}[0-9a-f]{32}`, 'g')))
      found.add(password);
    rest = text.slice(-100);
  }
  return found;
}

test('the password of a login that has failed is not in memory, while the answer to its bind is waited for', async () => {
  const fake = await serveRequests((request, peer) => {
    if (request.operation === 'search') peer.write(...aliceFound(request));
    else if (request.dn === serviceDn) peer.write(bindResponse({ id: request.id }));
  });
  stopTimers();
  const { logIn, attempts } = await gatewayTo([fake]);
  // This does not use `expect`, which would remember the call.
  const logInOnce = () =>
    logIn('alice', mark + randomBytes(16).toString('hex')).then(
      () => 'a decision',
      (error: Error) => error.message,
    );
  const login = logInOnce();
  // These are the binds of the service account and of the user, with a search between them.
  await fake.untilRequests(3);
  vi.advanceTimersByTime(30_000);
  expect(await login).toMatch('no answer within 30s');
  // The server of this test has read the password: this forgets it.
  (fake.requests as FakeRequest[]).length = 0;
  // The detour through bytes makes it one piece in memory.
  const inMemory = Buffer.from(mark + randomBytes(16).toString('hex')).toString();
  expect(await passwordsInMemory()).toEqual(new Set([inMemory]));
  expect([attempts.map(({ outcome }) => outcome), fake.openSockets]).toEqual([[undefined], 2]);
});
