import { waitFor } from '@sallyport/test-servers/wait-for';
import { describe, expect, test } from 'vitest';
import { review } from './testing/clients.ts';
import { protocols, startFleet } from './testing/protocols.ts';
import { sabotaged } from './testing/sabotage-plugin.ts';
import { authenticated, type ScriptedBackend, startScriptedBackend } from './testing/scripted-backend.ts';
import { reviewBody, versions } from './testing/token-review.ts';
import { randomToken, secret } from './testing/tokens.ts';

let backend: ScriptedBackend;

const fleet = startFleet(async () => {
  backend = await startScriptedBackend();
  const sabotage = { name: 'sabotage', use: './sabotage-plugin.ts' };
  return { config: { authenticators: [sabotage, backend.authenticator('corp')] } };
});

describe.each(protocols)('over %s', (protocol) => {
  test.each(versions)(
    'a bug in the way of a TokenReview %s is answered 500, without detail, and logged',
    async (version) => {
      const client = fleet.client(protocol);
      const seen = new Map(fleet.gateways().map(({ output }) => [output, output.text().length]));
      const token = secret(sabotaged + randomToken());
      const response = await client.send({ body: reviewBody(token, version) });
      expect(response.status).toBe(500);
      expect(response.headers['content-type']).toMatch(/^application\/json/);
      const { message, ...status } = JSON.parse(response.text);
      expect(status).toMatchObject({ kind: 'Status', apiVersion: 'v1', reason: 'InternalError', code: 500 });
      expect(message).not.toMatch(/read|TypeError|sabotage/);
      const logged = (): boolean =>
        fleet.gateways().some(({ output }) => output.text().slice(seen.get(output)).includes('TypeError'));
      await waitFor(logged, 'the bug in the log');
      const next = randomToken();
      backend.answer(next, authenticated('ada'));
      expect(await review(client, next, version)).toMatchObject({ authenticated: true });
    },
  );
});
