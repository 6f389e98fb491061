import { randomBytes } from 'node:crypto';
import { disguises, findLeaks, goJson } from '@sallyport/test-servers/leaks';
import { awkwardToken, randomToken, secret } from '@sallyport/test-servers/tokens';
import { expect, test } from 'vitest';
import { http1Client, review } from './testing/clients.ts';
import { runCommand } from './testing/command.ts';
import { temporaryFolder } from './testing/folder.ts';
import { startGateway } from './testing/gateway.ts';
import { startScriptedBackend } from './testing/scripted-backend.ts';

const noise = (): string => `{"level":"debug","msg":"${randomBytes(300).toString('base64')}"}\n`;

const plantings: readonly { encoding: string; plant: (token: string) => string }[] = [
  { encoding: 'in clear', plant: (token) => token },
  { encoding: 'base64', plant: (token) => Buffer.from(token).toString('base64') },
  { encoding: 'base64url', plant: (token) => Buffer.from(token).toString('base64url') },
  { encoding: 'hex', plant: (token) => Buffer.from(token).toString('hex') },
  { encoding: 'URL-encoded', plant: (token) => encodeURIComponent(token) },
  { encoding: 'URL-encoded', plant: (token) => new URLSearchParams({ token }).toString() },
  { encoding: 'JSON-escaped', plant: (token) => JSON.stringify({ token }) },
  { encoding: 'JSON-escaped', plant: (token) => goJson({ token }) },
  {
    encoding: 'JSON-escaped twice',
    plant: (token) => JSON.stringify({ body: JSON.stringify({ token }) }),
  },
];

for (const kind of [randomToken, awkwardToken]) {
  test.each(plantings)(
    `a ${kind.name} planted $encoding is found in a long log`,
    ({ encoding, plant }) => {
      const lines = Array.from({ length: 100 }, noise);
      const secrets = [kind(), kind(), kind()];
      expect(findLeaks(lines.join(''), secrets)).toEqual([]);
      lines.splice(57, 0, `{"msg":"${plant(secrets[1] ?? '')}"}\n`);
      const leaks = findLeaks(lines.join(''), secrets);
      expect(leaks).toContain(`secret 2 of 3 is ${encoding} in line 58`);
      expect(leaks.join()).not.toContain('secret 1');
    },
  );
}

test.each([0, 1, 2, 3, 4, 5])(
  'a token within a base64 text of %i bytes before it is found',
  (shift) => {
    const token = randomToken();
    const text = Buffer.from('x'.repeat(shift) + JSON.stringify({ token })).toString('base64');
    expect(findLeaks(text, [token]).join()).toContain('base64');
  },
);

test('ten characters of a token, as JSON.parse quotes them, are found', () => {
  const token = randomToken();
  expect(findLeaks(`Unexpected token in JSON: ...${token.slice(7, 17)}...`, [token])).toHaveLength(
    1,
  );
  expect(findLeaks(`Unexpected token in JSON: ...${token.slice(7, 16)}...`, [token])).toEqual([]);
});

test.each([
  { output: '{"code":204687}', isFound: true },
  { output: 'code=204687&form=a', isFound: true },
  { output: 'revoked 9f204687c1d0e5ab', isFound: false },
  { output: 'at 1790204687123', isFound: false },
])('the code 204687 is found as a number of its own: $output', ({ output, isFound }) => {
  expect(findLeaks(output, ['204687']).length > 0).toBe(isFound);
});

test('a finding does not show the secret', () => {
  const token = randomToken();
  const [leak = ''] = findLeaks(`before ${token} after`, [token]);
  for (const forms of disguises(token).values()) {
    expect(forms.some((form) => leak.includes(form))).toBe(false);
  }
});

test('a gateway that logs a token of the test file fails at its stop', async () => {
  const backend = await startScriptedBackend();
  const careless = backend.authenticator('careless', {}, { careless: true });
  const gateway = await startGateway({ config: { authenticators: [careless] } });
  using client = http1Client(gateway.url);
  expect(await review(client, randomToken())).toEqual({ authenticated: false });
  await expect(gateway.stop()).rejects.toThrow(/the gateway printed secrets: .*is in clear/);
});

test('a command whose output holds a secret of the test file fails', async () => {
  const cwd = await temporaryFolder('leak');
  secret('Usage: sallyport');
  await expect(runCommand(['--help'], { cwd })).rejects.toThrow('printed secrets');
});
