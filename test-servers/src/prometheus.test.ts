import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { accepts } from './ports.ts';
import { startPrometheus } from './prometheus.ts';
import { waitFor } from './wait-for.ts';

const rules = JSON.stringify({
  groups: [
    {
      name: 'test',
      rules: [
        { record: 'job:answer:sum', expr: 'sum by (job) (answer)' },
        { alert: 'Wrong', expr: 'answer != 42', annotations: { summary: 'It says {{ $value }}' } },
        { alert: 'WrongForLong', expr: 'answer != 42', for: '1h' },
      ],
    },
  ],
});

/** A target with the metrics of the test. */
async function startTarget() {
  let answer = 42;
  const server = createServer((_request, response) => {
    response.setHeader('content-type', 'text/plain').end(`answer{unit="none"} ${answer}\n`);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    say(value: number) {
      answer = value;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

test('scrapes its targets, evaluates its rules, and keeps both over a restart', async () => {
  await using target = await startTarget();
  await using prometheus = await startPrometheus({
    jobs: { one: [target.address] },
    rules: [rules],
    interval: '100ms',
  });
  const labels = { __name__: 'answer', job: 'one', instance: target.address, unit: 'none' };
  const found = await waitFor(async () => (await prometheus.query('answer'))[0], 'a scrape');
  expect(found).toEqual({ labels, value: 42 });
  await waitFor(async () => (await prometheus.query('job:answer:sum')).length === 1, 'the record');
  expect(await prometheus.alerts()).toEqual([]);

  target.say(7);
  const alerts = await waitFor(async () => {
    const all = await prometheus.alerts();
    return all.length === 2 ? all : undefined;
  }, 'both alerts');
  const alert = (name: string) => alerts.find(({ labels }) => labels.alertname === name);
  expect(alert('Wrong')).toMatchObject({ state: 'firing', annotations: { summary: 'It says 7' } });
  expect(alert('WrongForLong')).toMatchObject({ state: 'pending', labels: { unit: 'none' } });
  target.say(42);
  await waitFor(async () => (await prometheus.alerts()).length === 0, 'the end of the alerts');

  await prometheus.stop();
  expect(await accepts(Number(new URL(prometheus.url).port))).toBe(false);
  await prometheus.start();
  expect(await prometheus.query('max_over_time(answer[1m]) - min_over_time(answer[1m])')).toMatchObject([
    { value: 35 },
  ]);
});

test('reports the problem of a query, and of rules', async () => {
  await using prometheus = await startPrometheus({ jobs: {} });
  await expect(prometheus.query('sum(')).rejects.toThrow('unclosed left parenthesis');
  await expect(startPrometheus({ jobs: {}, rules: ['groups: [{ nonsense: 1 }]'] })).rejects.toThrow('nonsense');
});
