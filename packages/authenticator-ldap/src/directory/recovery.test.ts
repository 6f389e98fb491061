import { expect, test } from 'vitest';
import { connect } from '../connection/connection.ts';
import { answerSuccess } from '../testing/connecting.ts';
import { startFakeServer } from '../testing/fake-server.ts';
import { directoryOf, ldapOptions, never, searchOnce } from './testing/set-up.ts';
import { startWorkingServer, user } from './testing/working-server.ts';

test('a server that was silent is taken back by a probe, and answers the next login', async () => {
  let isFixed = false;
  await using first = await startFakeServer({
    onRequest: (request, peer) => {
      if (isFixed) answerSuccess(request, peer);
    },
  });
  await using second = await startWorkingServer();
  const back = Promise.withResolvers<void>();
  const quiet = () => {};
  const options = ldapOptions([first.server, second.server], {
    serverTimeout: 200,
    circuit: { failures: 1, probeInterval: 20 },
  });
  const { directory } = directoryOf(options, connect, {
    logger: { debug: quiet, info: () => back.resolve(), warn: quiet, error: quiet },
  });
  expect((await directory.withService(searchOnce(), { signal: never })).server).toBe(second.server);
  isFixed = true;
  const began = performance.now();
  await back.promise;
  console.info(`taken back after ${Math.round(performance.now() - began)} ms (a probe each 20 ms)`);
  expect((await directory.withService(searchOnce(), { signal: never })).server).toBe(first.server);
  expect((await directory.bindUser(user, { signal: never })).server).toBe(first.server);
  await directory.close();
  await first.untilClosed();
  await second.untilClosed();
});
