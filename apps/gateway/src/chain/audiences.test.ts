import type { Decision } from '@sallyport/authenticator';
import { describe, expect, test } from 'vitest';
import { withAudiences } from './audiences.ts';

const { signal } = new AbortController();
const user = { username: 'jane' };

async function judge(decision: Decision, asked: string[], apiAudiences: string[] = []): Promise<Decision> {
  const plugin = { authenticate: async () => decision, close: async () => {} };
  return withAudiences(plugin, () => apiAudiences).authenticate('t', { audiences: asked, signal });
}

const bound = (...audiences: string[]): Decision => ({ kind: 'authenticated', user, audiences });
const mismatch = { kind: 'rejected', reason: 'audience-mismatch', subject: 'jane' };

describe('audiences', () => {
  test.each([
    ['what both name', ['a', 'b'], ['b', 'c'], [], ['b']],
    ["the review's order", ['a', 'b', 'c'], ['c', 'a'], [], ['c', 'a']],
    ['nothing twice', ['a', 'a'], ['a', 'a'], [], ['a']],
    ["the API server's own, where the review names none", ['a', 'b'], [], ['b', 'x'], ['b']],
  ])('that pass are %s', async (_case, named, asked, api, expected) => {
    expect(await judge(bound(...named), asked, api)).toStrictEqual({
      kind: 'authenticated',
      user,
      audiences: expected,
    });
  });

  test.each([
    ['none is in the review', ['a'], ['b'], ['a']],
    ['the plugin names an empty list', [], ['a'], ['a']],
    ["the review names none and none is the API server's", ['a'], [], ['b']],
    ['the review names none and no apiAudiences are configured', ['a'], [], []],
    ['all lists are empty', [], [], []],
  ])('do not pass when %s', async (_case, named, asked, api) => {
    expect(await judge(bound(...named), asked, api)).toStrictEqual(mismatch);
  });

  test('left out by the plugin are left out of the answer, whatever the review asks', async () => {
    const unbound: Decision = { kind: 'authenticated', user };
    expect(await judge(unbound, ['a'], ['b'])).toStrictEqual(unbound);
    expect(await judge(unbound, [])).toStrictEqual(unbound);
  });

  test.each<Decision>([{ kind: 'no-opinion' }, { kind: 'rejected', reason: 'revoked', subject: 'x' }])(
    'leave $kind as it is',
    async (decision) => {
      expect(await judge(decision, ['a'])).toStrictEqual(decision);
    },
  );
});
