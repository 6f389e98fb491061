import type { IssuedToken } from '@sallyport/authenticator';
import { describe, expect, test } from 'vitest';
import type { JudgedUser } from '../../chain/identity-policy.ts';
import { seeToken, shortDigest, timeText, toJson } from './issued-token.ts';

const now = 1_000_000;
const past = new Date(now);
const future = new Date(now + 1);
const digest = 'ab'.repeat(32);
const passes = (): JudgedUser => ({ user: { username: 'robot:jane' } });
const breaks = (): JudgedUser => ({ user: { username: 'robot:jane' }, breach: { rule: 'a rule', name: 'x' } });
const issued = (more: Partial<IssuedToken>): IssuedToken => ({ digest, user: { username: 'jane' }, ...more });

describe('the state', () => {
  test.each<[string, Partial<IssuedToken>, () => JudgedUser]>([
    ['good', {}, passes],
    ['good', { expiresAt: future, notBefore: past }, passes],
    ['expired', { expiresAt: past }, passes],
    ['not yet valid', { notBefore: future }, passes],
    ['revoked', { revoked: { at: past } }, passes],
    ['refused by policy', {}, breaks],
    ['revoked', { revoked: { at: past }, expiresAt: past }, breaks],
    ['expired', { expiresAt: past, notBefore: future }, breaks],
    ['refused by policy', { notBefore: future }, breaks],
  ])('%s, of %j', (state, more, judge) => {
    expect(seeToken(issued(more), judge, now).state).toBe(state);
  });
});

describe('as JSON', () => {
  const parsed = (more: Partial<IssuedToken>, judge = passes) =>
    JSON.parse(JSON.stringify(toJson(seeToken(issued(more), judge, now), 'robots')));

  test('what is not known is left out', () => {
    const user = { username: 'robot:jane' };
    const least = { authenticator: 'robots', digest, user, record: { username: 'jane' } };
    expect(parsed({})).toEqual({ ...least, state: 'good' });
    expect(parsed({}, breaks)).toEqual({ ...least, state: 'refused by policy', breach: { rule: 'a rule', name: 'x' } });
  });

  test('never used is told apart from not tracked', () => {
    expect(parsed({ lastUsedAt: null })).toHaveProperty('lastUsedAt', null);
    expect(parsed({})).not.toHaveProperty('lastUsedAt');
  });

  test('what a plugin hangs on its objects besides is not told', () => {
    const more = { token: 'x', user: { username: 'jane', password: 'x' }, revoked: { at: past, secret: 'x' } };
    expect(JSON.stringify(parsed(more))).not.toContain('"x"');
  });
});

test('digests and times for eyes', () => {
  expect(shortDigest(digest)).toBe('abababababab');
  expect(timeText(new Date('2030-01-31T12:00:00Z'))).toBe('2030-01-31T12:00:00Z');
  expect(timeText(new Date('2030-01-31T12:00:00.010Z'))).toBe('2030-01-31T12:00:00.010Z');
});
