import { waitFor } from '@sallyport/test-servers/wait-for';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { http1Client, http2Client, review } from './testing/clients.ts';
import { type Gateway, startGateway } from './testing/gateway.ts';
import { createMutualTls, type MutualTls } from './testing/mutual-tls.ts';
import type { LogLine } from './testing/output.ts';
import { type ScriptedBackend, startScriptedBackend } from './testing/scripted-backend.ts';
import { reviewBody } from './testing/token-review.ts';
import { randomToken } from './testing/tokens.ts';

const times = 100;

/** Of lines alike the gateway writes one in 10 s as a warning: no more of these than the time allows. */
async function expectFewWarnings(gateway: Gateway, isAlike: (line: LogLine) => boolean, flood: () => Promise<unknown>) {
  const start = performance.now();
  await flood();
  const lines = await waitFor(() => {
    const alike = gateway.output.lines.filter(isAlike);
    return alike.length >= times && alike;
  }, 'a line for each');
  const most = 1 + Math.ceil((performance.now() - start) / 10_000);
  const warnings = lines.filter(({ level }) => level === 'warn');
  expect(warnings.length).toBeGreaterThanOrEqual(1);
  expect(warnings.length).toBeLessThanOrEqual(most);
  expect(lines.filter(({ level }) => level === 'debug')).toHaveLength(times - warnings.length);
}

describe('on one gateway', () => {
  let backend: ScriptedBackend;
  let mutualTls: MutualTls;
  let gateway: Gateway;

  beforeAll(async () => {
    backend = await startScriptedBackend();
    mutualTls = await createMutualTls();
    const { files, tls } = mutualTls;
    gateway = await startGateway({
      files,
      config: { server: { tls }, authenticators: [backend.authenticator('corp')] },
    });
  });

  afterAll(() => gateway.stop());

  test('reviews that can not be checked, in any number, do not fill the log with warnings', async () => {
    backend.answerOthers({ kind: 'throw', code: 'unavailable' });
    using client = http2Client(gateway.url, mutualTls.client);
    const isAlike = ({ msg, outcome }: LogLine) => msg === 'token review' && outcome === 'error';
    await expectFewWarnings(gateway, isAlike, async () => {
      const answers = Array.from({ length: times }, () => review(client, randomToken()));
      for (const { error } of await Promise.all(answers)) expect(error).toBe('authenticator corp unavailable');
    });
  });

  test('connections of a client with a wrong name, in any number, do not fill the log with warnings', async () => {
    const kubelet = mutualTls.clientWith(await mutualTls.clientAuthority.issueClient('system:node:a'));
    const isAlike = ({ msg }: LogLine) => msg === 'client certificate name is not in server.tls.clientNames';
    await expectFewWarnings(gateway, isAlike, async () => {
      for (let time = 0; time < times; time++) {
        using client = http2Client(gateway.url, kubelet);
        expect((await client.send({ body: reviewBody(randomToken()) })).status).toBe(403);
      }
    });
  });
});

test('tokens that fail by themselves, in any number, do not hide why a backend is down', async () => {
  const backend = await startScriptedBackend();
  backend.answerOthers({ kind: 'throw', code: 'failed' });
  await using gateway = await startGateway({ config: { authenticators: [backend.authenticator('corp')] } });
  using client = http1Client(gateway.url);
  const fail = () => review(client, randomToken());
  await fail();
  const token = randomToken();
  backend.answer(token, { kind: 'throw', code: 'unavailable' });
  await Promise.all([...Array.from({ length: times }, fail), review(client, token)]);
  const isOutage = ({ msg, code }: LogLine) =>
    msg === 'authenticator could not check a token' && code === 'unavailable';
  expect(await waitFor(() => gateway.output.lines.find(isOutage), 'the reason')).toMatchObject({ level: 'warn' });
});
