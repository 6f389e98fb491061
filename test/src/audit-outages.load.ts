import { randomToken } from '@sallyport/test-servers/tokens';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { expect, test } from 'vitest';
import { type Client, http1Client, review } from './testing/clients.ts';
import { startGateway } from './testing/gateway.ts';
import { startLoad } from './testing/load.ts';
import { metricsText } from './testing/scrape.ts';
import { authenticated, startScriptedBackend } from './testing/scripted-backend.ts';
import { sum } from './testing/sum.ts';

test('a standard output that no one reads delays no answer', async () => {
  const backend = await startScriptedBackend();
  backend.answerOthers(authenticated('n.'.repeat(4_000)));
  const authenticators = [backend.authenticator('corp')];
  await using silent = await startGateway({ config: { authenticators } });
  await using gateway = await startGateway({
    config: { audit: { output: 'stdout' }, authenticators },
    pausesStdout: true,
  });
  using client = http1Client(gateway.url);
  using other = http1Client(silent.url);
  const load = startLoad(client, 8);
  const isDropping = async () =>
    /^sallyport_audit_lines_dropped_total [1-9]/m.test(await metricsText(gateway));
  await waitFor(isDropping, 'lines to be dropped');
  await load.stop();

  const times = { audited: [] as number[], silent: [] as number[] };
  const measure = async (to: Client, into: number[]) => {
    const begin = performance.now();
    await review(to, randomToken());
    into.push(performance.now() - begin);
  };
  for (let turn = 0; turn < 300; turn++) {
    await measure(client, times.audited);
    await measure(other, times.silent);
  }
  const worst = (of: readonly number[]) => Math.max(...of);
  const show = (of: readonly number[]) =>
    `mean ${(sum(of) / of.length).toFixed(2)} ms, worst ${worst(of).toFixed(1)} ms`;
  console.info(`trail that no one reads: ${show(times.audited)}; no trail: ${show(times.silent)}`);
  // The promise is 50 ms. The limit is five times that, on top of the time of a busy machine without a trail.
  expect(worst(times.audited) - worst(times.silent)).toBeLessThan(250);
  gateway.readStdout();
});
