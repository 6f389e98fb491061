import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { connectTo } from '../testing/connecting.ts';
import { startFakeServer } from '../testing/fake-server.ts';

const established = '01';

/**
 * The kind of timer that runs on our end of the connection, as `tr` of Linux' /proc/net/tcp. A port may have served
 * before: what is left of such a connection (TIME_WAIT) has rows of its own there, with another timer.
 */
async function timerTowards(port: number): Promise<string | undefined> {
  const rows = (await readFile('/proc/self/net/tcp', 'utf8')).trim().split('\n').slice(1);
  const fields = rows.map((row) => row.trim().split(/\s+/));
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const ours = fields.find(([, , remote, state]) => state === established && remote?.endsWith(suffix));
  return ours?.[5]?.split(':')[0];
}

test('an idle connection is kept alive, so that firewalls remember it and a dead server is noticed', async () => {
  await using fake = await startFakeServer();
  const connection = await connectTo(fake.server);
  const keepAlive = '02';
  expect(await timerTowards(fake.server.port)).toBe(keepAlive);
  connection.close();
});
