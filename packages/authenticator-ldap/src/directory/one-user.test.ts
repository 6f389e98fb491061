import { expect, onTestFinished, test } from 'vitest';
import { connect } from '../connection/connection.ts';
import { ServerError } from '../connection/server-error.ts';
import { answerSuccess } from '../testing/connecting.ts';
import { startFakeServer } from '../testing/fake-server.ts';
import { directoryOf, ldapOptions, never, outcomeOf, searchOnce } from './testing/set-up.ts';
import { isUserBind, userNumber } from './testing/working-server.ts';

const slow = userNumber(0);

/** As a directory where one user's password hash takes a million rounds, and one user's groups are without end. */
function startServerSlowForOne() {
  return startFakeServer({
    onRequest(request, peer) {
      const isSlow = isUserBind(request) && request.dn === slow.dn;
      if (!isSlow) answerSuccess(request, peer);
    },
  });
}

async function setUp() {
  const fake = await startServerSlowForOne();
  onTestFinished(() => fake[Symbol.asyncDispose]());
  const circuit = { failures: 3, probeInterval: 600_000 };
  const { directory, lines } = directoryOf(ldapOptions([fake.server], { serverTimeout: 300, circuit }), connect);
  onTestFinished(() => directory.close());
  const warnings = () => lines.filter(({ level }) => level === 'warn');
  return { directory, warnings };
}

const noAnswer = /^failed: this login got no answer: /;

test('one user whose logins hang the server does not take it away from others, and reports no outage', async () => {
  const { directory, warnings } = await setUp();
  for (let login = 0; login < 8; login++) {
    expect(await outcomeOf(directory.bindUser(slow, { signal: never }))).toMatch(noAnswer);
    expect(await outcomeOf(directory.bindUser(userNumber(login + 1), { signal: never }))).toMatch(/ by /);
  }
  expect(warnings()).toEqual([]);
});

test('without other logins, such a user gets the same error', async () => {
  const { directory, warnings } = await setUp();
  for (let login = 0; login < 6; login++) {
    expect(await outcomeOf(directory.bindUser(slow, { signal: never }))).toMatch(noAnswer);
  }
  expect(await outcomeOf(directory.withService(searchOnce(), { signal: never }))).toMatch(/ by /);
  expect(warnings()).toEqual([]);
});

test('a group search that hangs for one user is an error of that user only', async () => {
  const { directory, warnings } = await setUp();
  const silence = new ServerError('timeout', 'search', 'no answer');
  const call = { signal: never, subject: slow.dn };
  for (let login = 0; login < 4; login++) {
    expect(await outcomeOf(directory.withService(() => Promise.reject(silence), call))).toMatch(noAnswer);
  }
  expect(await outcomeOf(directory.withService(searchOnce(), { signal: never }))).toMatch(/ by /);
  expect(warnings()).toEqual([]);
});
