import { waitUntil } from '@sallyport/test-servers/wait-until';
import { expect, onTestFinished, test } from 'vitest';
import { connect } from '../connection/connection.ts';
import type { BindResult } from '../connection/types.ts';
import { answerSuccess } from '../testing/connecting.ts';
import type { FakePeer, FakeRequest } from '../testing/fake-peer.ts';
import { startFakeServer } from '../testing/fake-server.ts';
import { bindResponse } from '../testing/ldap-answers.ts';
import { directoryOf, ldapOptions, never, outcomeOf } from './testing/set-up.ts';
import { isUserBind, user, userNumber } from './testing/working-server.ts';

const serverTimeout = 100;

/** A server that answers binds of users when the test says so. */
async function setUp() {
  const held: { request: FakeRequest; peer: FakePeer }[] = [];
  const fake = await startFakeServer({
    onRequest(request, peer) {
      if (isUserBind(request)) held.push({ request, peer });
      else answerSuccess(request, peer);
    },
  });
  onTestFinished(() => fake[Symbol.asyncDispose]());
  const { directory } = directoryOf(ldapOptions([fake.server], { serverTimeout, maxUserBinds: 100 }), connect);
  onTestFinished(() => directory.close());
  const late: Promise<BindResult>[] = [];
  const onLate = (answer: Promise<BindResult>) => void late.push(answer);
  return { fake, directory, held, late, onLate };
}

const noAnswer = /^failed: this login got no answer: .*no answer within 100ms/;

test('an answer that comes too late for the login is still passed on, and then the connection ends', async () => {
  const { fake, directory, held, late, onLate } = await setUp();
  expect(await outcomeOf(directory.bindUser(user, { signal: never, onLate }))).toMatch(noAnswer);
  expect([late.length, fake.openSockets]).toEqual([1, 1]);
  for (const { request, peer } of held) peer.write(bindResponse({ id: request.id, code: 49 }));
  expect(await late[0]).toMatchObject({ code: 49 });
  await fake.untilClosed();
});

test('without onLate the connection ends with the wait', async () => {
  const { fake, directory } = await setUp();
  expect(await outcomeOf(directory.bindUser(user, { signal: never }))).toMatch(noAnswer);
  await fake.untilClosed();
});

test('a server that ends the connection, and a directory that is closed, end the wait', async () => {
  const { directory, held, late, onLate } = await setUp();
  for (const login of [1, 2]) await outcomeOf(directory.bindUser(userNumber(login), { signal: never, onLate }));
  held[0]?.peer.end();
  await expect(late[0]).rejects.toMatchObject({ kind: 'closed' });
  await directory.close();
  await expect(late[1]).rejects.toMatchObject({ kind: 'closed' });
});

test('a limited number is waited for: more are a failure of the server', async () => {
  const { fake, directory, late, onLate } = await setUp();
  const binds = Array.from({ length: 70 }, (_, login) =>
    outcomeOf(directory.bindUser(userNumber(login), { signal: never, onLate })),
  );
  for (const outcome of await Promise.all(binds)) expect(outcome).toMatch(noAnswer);
  expect(late).toHaveLength(64);
  await waitUntil(() => fake.openSockets === 64, 'the others to be closed');
});
