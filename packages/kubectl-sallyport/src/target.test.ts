import { anyCharacter } from '@sallyport/scripts/any-character';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { cacheName, normalizeUrl, targetFrom } from './target.ts';

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
  ['login.example.com:8444', /not the URL/],
  ['ftp://login.example.com', /not the URL/],
  ['http://login.example.com', /only over https/],
  ['http://127.0.0.1.example.com', /only over https/],
  ['http://localhost.example.com', /only over https/],
  ['https://ada:secret@login.example.com', /no user/],
  ['https://login.example.com?x=1', /no user, no password, no "\?"/],
  ['https://login.example.com/#x', /no user/],
])('%j is refused', (text, message) => {
  expect(() => normalizeUrl(text)).toThrow(message);
});

test('a URL that is refused for its password is not repeated', () => {
  expect(() => normalizeUrl('https://ada:secret@login.example.com')).not.toThrow(/secret/);
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
  ['https://LOGIN.example.com:443/', 'PEM'],
  ['https://other.example.com', undefined],
  ['login.example.com', undefined],
])(
  'the CA that the kubeconfig has for %s is for its server alone, however that is spelled',
  (login, ca) => {
    const options = { url: 'https://login.example.com', cluster: 'prod' };
    expect(targetFrom(options, { login, cluster: 'prod', ca: 'PEM' })?.ca).toBe(ca);
  },
);
