import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { createTestAuthority } from '../testing/certificates.ts';
import { createHttpServer, listen } from './http-server.ts';
import { connectionLimits } from './limits.ts';
import { readTlsMaterial } from './tls.ts';

/** Asks the kernel whether a socket waits for acknowledgements (Nagle's algorithm). Node can only set this. */
function readNoDelay(socket: Socket & { readonly _handle?: { readonly fd: number } }): string {
  const script = 'open my $s, "+<&=3"; print unpack "i", getsockopt $s, IPPROTO_TCP, TCP_NODELAY';
  const { stdout } = spawnSync('perl', ['-MSocket=:all', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit', socket._handle?.fd],
    encoding: 'utf8',
  });
  return stdout;
}

test('no answer waits for the client to acknowledge what was sent before, such as session tickets', async () => {
  const authority = await createTestAuthority();
  onTestFinished(authority.remove);
  const pair = await authority.issue({
    commonName: 'gateway',
    alternativeNames: ['IP.1 = 127.0.0.1'],
  });
  const material = await readTlsMaterial({ ...pair, minVersion: 'TLSv1.2' });
  for (const tls of [undefined, material]) {
    const server = createHttpServer(tls, connectionLimits, () => undefined);
    onTestFinished(() => void server.close());
    const port = await listen(server, { host: '127.0.0.1', port: 0 }, 'server.listen');
    const connected = once(server, 'connection');
    const client = connect({ port, host: '127.0.0.1' });
    onTestFinished(() => void client.destroy());
    const [socket] = await connected;
    expect(readNoDelay(socket)).toBe('1');
  }
});
