import { expect, test } from 'vitest';
import type { StatusDocument } from '../document.ts';
import { noticesOf } from './notices.js';

const day = 86_400_000;
const at = 1_700_000_000_000;

function noticed(changes: object) {
  const status = {
    at,
    gateway: { inFlight: 1000, maxInFlight: 1000 },
    config: { refused: [] },
    blocking: { blocked: 0, cutOff: false },
    cache: {},
    certificates: [],
    recent: [],
    ...changes,
  } as unknown as StatusDocument;
  return noticesOf(status).map(({ level, title, lines }) => [level, title, ...lines]);
}

test('has no notice without a problem', () => {
  expect(noticed({ cache: { redis: { circuitOpen: false } } })).toEqual([]);
});

test('shows what on disk was refused, and why', () => {
  const refused = [
    { what: 'config', at, problems: ['gateway.yaml:1:1: is empty'] },
    { what: '/etc/tokens.yaml', at, problems: ['is bad'] },
  ];
  expect(noticed({ config: { refused } })).toEqual([
    ['bad', expect.stringMatching(/^The config on disk was refused at \d\d:\d\d:\d\d: /), 'gateway.yaml:1:1: is empty'],
    ['bad', expect.stringMatching(/^\/etc\/tokens.yaml on disk was refused/), 'is bad'],
  ]);
});

test('shows an open circuit of Redis, or instead that blocks do not arrive here', () => {
  const cache = { redis: { circuitOpen: true } };
  expect(noticed({ cache })[0]).toEqual(['warn', 'The circuit of the shared Redis is open', expect.any(String)]);
  const cutOff = noticed({ cache, blocking: { blocked: 0, cutOff: true, listAge: null } });
  expect(cutOff).toEqual([['bad', 'Cut off from the revocation list', expect.any(String)]]);
});

test('shows an overload while it lasts', () => {
  const recent = (age: number) => [{ outcome: 'overloaded', at: at - age }];
  expect(noticed({ recent: recent(1_000) })[0]?.[1]).toBe('Overloaded: token reviews are refused with 429');
  expect(noticed({ recent: recent(61_000) })).toEqual([]);
});

test('shows a certificate that expires within 14 days, but not a CA that another one outlives', () => {
  const one = (certificate: string, days: number) => ({ certificate, subject: `CN=${days}`, endsAt: at + days * day });
  const certificates = [one('server', 13), one('client-ca', 1), one('client-ca', 400)];
  expect(noticed({ certificates })).toEqual([['warn', 'The server certificate expires in 13 days', 'CN=13']]);
  expect(noticed({ certificates: [one('server', -1)] })[0]?.slice(0, 2)).toEqual([
    'bad',
    'The server certificate has expired',
  ]);
});
