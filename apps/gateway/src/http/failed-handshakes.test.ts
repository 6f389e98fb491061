import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { createTestAuthority, type Pair, type TestAuthority } from '../testing/certificates.ts';
import { randomToken, review, send } from '../testing/clients.ts';
import { anHour, createLog } from '../testing/server.ts';
import { startHttpListener } from './http-listener.ts';
import { readTlsMaterial } from './tls.ts';

let authority: TestAuthority;
let pair: Pair;
beforeAll(async () => {
  authority = await createTestAuthority();
  pair = await authority.issue({ commonName: 'gateway', alternativeNames: ['IP.1 = 127.0.0.1'] });
});
afterAll(() => authority.remove());

const turns = { perAddress: 8, addressTime: anHour, inProgress: 8 };

test.each([
  { setting: 'server.listen', handshakeLimits: undefined },
  { setting: 'login.listen', handshakeLimits: turns },
])(
  'a client that speaks plain HTTP to the TLS port of $setting is told so, and logged',
  async ({ setting, handshakeLimits }) => {
    const { lines, logger } = createLog();
    const listener = await startHttpListener({
      address: { host: '127.0.0.1', port: 0 },
      setting,
      tls: await readTlsMaterial({ ...pair, minVersion: 'TLSv1.2' }),
      maxConnectionAge: () => anHour,
      logger,
      handshakeLimits,
      createApp: () => ({ callback: () => () => expect.unreachable() }),
    });
    onTestFinished(() => listener.close());
    const token = randomToken();
    for (let count = 0; count < 2; count++) {
      expect(
        await send(`http://127.0.0.1:${listener.port}`, { body: review({ token }) }),
      ).toMatchObject({
        status: 400,
        json: { kind: 'Status', message: 'this port speaks HTTPS only: use https:// in the URL' },
      });
    }
    expect(lines.map(({ level }) => level)).toEqual(['warn', 'debug']);
    expect(lines[0]).toMatchObject({
      fields: { peer: '127.0.0.1', setting },
      message: 'client speaks plain HTTP to a TLS port: use https:// there',
    });
    expect(JSON.stringify(lines)).not.toContain(token);
  },
);
