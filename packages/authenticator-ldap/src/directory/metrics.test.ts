import { tmpdir } from 'node:os';
import { recordingContext } from '@sallyport/authenticator/conformance';
import { countingMetrics } from '@sallyport/test-servers/counting-metrics';
import { expect, test } from 'vitest';
import { never } from '../connection/testing/connecting.ts';
import { createServerMetrics } from './metrics.ts';
import { memoryConnect, memoryServer } from './testing/memory-server.ts';
import { directoryOf, directoryOptions, searchOnce, setUpMemoryServers } from './testing/set-up.ts';

const user = { dn: 'uid=jane,ou=people', password: 'of the user' };

test('each operation is counted once, by its server, its use and its result', async () => {
  const { directory, server, values } = setUpMemoryServers(2);
  await directory.withService(searchOnce(), { signal: never });
  server(0).searching = 'closed';
  server(1).searching = 32;
  await directory.withService(searchOnce(), { signal: never });
  server(0).binding = 49;
  await directory.bindUser(user, { signal: never });
  server(0).binding = 4711;
  await directory.bindUser(user, { signal: never });
  await directory.close();
  const of = (name: string, labels: string) => values.get(`${name}{server=ldaps://${labels}}`);
  expect([
    of('searches_total', 'a:636,result=success'),
    of('searches_total', 'a:636,result=closed'),
    of('searches_total', 'b:636,result=noSuchObject'),
    of('search_duration_seconds', 'a:636'),
    of('binds_total', 'a:636,use=service,result=success'),
    of('binds_total', 'a:636,use=user,result=invalidCredentials'),
    of('binds_total', 'a:636,use=user,result=other'),
    of('bind_duration_seconds', 'a:636,use=user'),
    of('connects_total', 'a:636,result=success'),
    of('connections', 'a:636,use=user,state=busy'),
    of('connections', 'a:636,use=user,state=idle'),
    of('connections', 'a:636,use=service,state=idle'),
  ]).toEqual([1, 2, 1, 3, 2, 1, 1, 2, 3, 0, 0, 0]);
});

test('what the caller gave up is "aborted"', async () => {
  const { directory, server, values } = setUpMemoryServers(1);
  server(0).connecting = 'hang';
  const controller = new AbortController();
  const call = directory.withService(searchOnce(), { signal: controller.signal });
  await new Promise(setImmediate);
  controller.abort(new Error('caller gone'));
  await expect(call).rejects.toThrow('caller gone');
  expect(values.get('connects_total{server=ldaps://a:636,result=aborted}')).toBe(1);
  await directory.close();
});

test('of servers that DNS names 64 have labels of their own, whatever comes', () => {
  const { metrics, values } = countingMetrics();
  const of = createServerMetrics(metrics);
  for (let count = 0; count < 100; count++) of(`ldaps://s${count}`).connected('success');
  of('ldaps://s3').connected('success');
  const counts = [...values].filter(([key]) => key.startsWith('connects_total'));
  expect(counts).toHaveLength(65);
  expect(values.get('connects_total{server=other,result=success}')).toBe(36);
  expect(values.get('connects_total{server=ldaps://s3,result=success}')).toBe(2);
});

test('names and labels are such as the gateway takes, and no label holds a DN', async () => {
  const recording = recordingContext({ pluginName: 'ldap', baseDirectory: tmpdir() });
  const memory = memoryServer('a');
  const { metrics, logger } = recording.context;
  const { directory } = directoryOf(directoryOptions([memory.server]), memoryConnect([memory]), {
    metrics,
    logger,
  });
  await directory.withService(searchOnce(), { signal: never });
  await directory.bindUser(user, { signal: never });
  await directory.close();
  expect(recording.metrics.map(({ name }) => name.replace('sallyport_plugin_ldap_', ''))).toEqual([
    ...[
      'connections',
      'server_circuit_state',
      'connection_wait_seconds',
      'connects_total',
      'binds_total',
    ],
    ...['bind_duration_seconds', 'searches_total', 'search_duration_seconds'],
  ]);
  expect(recording.metrics.every(({ labels }) => labels.length > 0)).toBe(true);
  const labels = recording.metrics.map((metric) => metric.labels);
  expect(JSON.stringify([labels, recording.lines])).not.toMatch(/jane|cn=service|password|of the/);
});
