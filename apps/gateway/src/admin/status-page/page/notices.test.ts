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
    stopping: { blocked: 0, cutOff: false },
    cache: {},
    certificates: [],
    recent: [],
    ...changes,
  } as unknown as StatusDocument;
  return noticesOf(status).map(({ level, title, lines }) => [level, title, ...lines]);
}

test('says nothing while nothing needs a look', () => {
  expect(noticed({ cache: { redis: { leftAlone: false } } })).toEqual([]);
});

test('tells what on disk was refused, and why', () => {
  const refused = [
    { what: 'config', at, problems: ['gateway.yaml:1:1: is empty'] },
    { what: '/etc/tokens.yaml', at, problems: ['is bad'] },
  ];
  expect(noticed({ config: { refused } })).toEqual([
    ['bad', expect.stringMatching(/^The config on disk was refused at \d\d:\d\d:\d\d: /), 'gateway.yaml:1:1: is empty'],
    ['bad', expect.stringMatching(/^\/etc\/tokens.yaml on disk was refused/), 'is bad'],
  ]);
});

test('tells a Redis that is left alone, and rather that nobody can be stopped here', () => {
  const cache = { redis: { leftAlone: true } };
  expect(noticed({ cache })[0]).toEqual(['warn', 'The shared Redis is left alone', expect.any(String)]);
  const cutOff = noticed({ cache, stopping: { blocked: 0, cutOff: true, listAge: null } });
  expect(cutOff).toEqual([['bad', 'Cut off from the revocation list', expect.any(String)]]);
});

test('tells an overload while it lasts', () => {
  const recent = (age: number) => [{ outcome: 'overloaded', at: at - age }];
  expect(noticed({ recent: recent(1_000) })[0]?.[1]).toBe('Overloaded: reviews are refused with 429');
  expect(noticed({ recent: recent(61_000) })).toEqual([]);
});

test('tells a certificate that ends within 14 days, but not a CA that another one outlives', () => {
  const one = (certificate: string, days: number) => ({ certificate, subject: `CN=${days}`, endsAt: at + days * day });
  const certificates = [one('server', 13), one('client-ca', 1), one('client-ca', 400)];
  expect(noticed({ certificates })).toEqual([['warn', 'The server certificate ends in 13 days', 'CN=13']]);
  expect(noticed({ certificates: [one('server', -1)] })[0]?.slice(0, 2)).toEqual([
    'bad',
    'The server certificate has ended',
  ]);
});
