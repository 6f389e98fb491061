import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { anyCharacter } from '@sallyport/scripts/any-character';
import { temporaryFolder } from '@sallyport/test-servers/temporary-folder';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { cacheName, normalizeUrl, readCaFile, targetFrom } from './target.ts';

test.each([
  ['https://login.example.com', 'https://login.example.com'],
  ['https://LOGIN.example.com:443/', 'https://login.example.com'],
  ['https://login.example.com:8444/sallyport//', 'https://login.example.com:8444/sallyport'],
  // The certificate must be for the name that is looked up (CVE-2026-48618).
  ['https://login\uff0eexample\u3002com', 'https://login.example.com'],
  ['http://127.0.0.1:8444', 'http://127.0.0.1:8444'],
  ['http://[::1]:8444', 'http://[::1]:8444'],
  ['http://localhost:8444', 'http://localhost:8444'],
])('%s is a login server', (text, url) => {
  expect(normalizeUrl(text)).toBe(url);
});

test.each([
  { text: 'login.example.com:8444', message: /not the URL/ },
  { text: 'ftp://login.example.com', message: /not the URL/ },
  { text: 'http://login.example.com', message: /only over https/ },
  { text: 'http://127.0.0.1.example.com', message: /only over https/ },
  { text: 'http://localhost.example.com', message: /only over https/ },
  { text: 'https://ada:secret@login.example.com', message: /no user/ },
  { text: 'https://login.example.com?x=1', message: /no user, no password, no "\?"/ },
  { text: 'https://login.example.com/#x', message: /no user/ },
])('"$text" is refused', ({ text, message }) => {
  expect(() => normalizeUrl(text)).toThrow(message);
});

test.each([
  'https://ada:secret@login.example.com',
  'htps://ada:secret@login.example.com',
  'ada:secret@login.example.com:8444',
])('%s is refused, and its password is not repeated', (text) => {
  expect(() => normalizeUrl(text)).toThrow(/^(?!.*secret)/);
});

test('each target has a name of its own, that no one confuses with another', () => {
  const text = fc.string({ unit: anyCharacter, maxLength: 5 });
  const target = fc.record(
    { url: text, cluster: text, account: text },
    { requiredKeys: ['url', 'cluster'] },
  );
  fc.assert(
    fc.property(target, target, (one, other) => {
      const same =
        one.url === other.url && one.cluster === other.cluster && one.account === other.account;
      expect(cacheName(one) === cacheName(other)).toBe(same);
      expect(cacheName(one)).toMatch(/^[0-9a-f]{32}$/);
    }),
  );
});

test.each([
  { login: 'https://LOGIN.example.com:443/', ca: 'PEM' },
  { login: 'https://other.example.com', ca: undefined },
  { login: 'login.example.com', ca: undefined },
])(
  'the CA that the kubeconfig has for $login is for its server alone, however that is spelled',
  ({ login, ca }) => {
    const options = { url: 'https://login.example.com', cluster: 'prod' };
    expect(targetFrom(options, { login, cluster: 'prod', ca: 'PEM' })?.ca).toBe(ca);
  },
);

test('a file of a CA in base64 is refused with how to decode it', async () => {
  await using folder = await temporaryFolder('target');
  const file = join(folder.path, 'ca.b64');
  await writeFile(file, Buffer.from('-----BEGIN CERTIFICATE-----').toString('base64'));
  expect(() => readCaFile(file)).toThrow(`run: base64 -d ${file} > ca.crt`);
});
