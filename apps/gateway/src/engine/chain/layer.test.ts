import type { Decision } from '@sallyport/authenticator';
import { describe, expect, test } from 'vitest';
import { withAudiences, withProvenance } from './layer.ts';

const { signal } = new AbortController();
const user = { username: 'jane' };

async function decide(
  decision: Decision,
  asked: string[],
  apiAudiences: string[] = [],
): Promise<Decision> {
  const plugin = { authenticate: async () => decision, close: async () => {} };
  return withAudiences(plugin, () => apiAudiences).authenticate('t', { audiences: asked, signal });
}

const bound = (...audiences: string[]): Decision => ({ kind: 'authenticated', user, audiences });
const mismatch = (...audiences: string[]) => ({
  kind: 'rejected',
  reason: 'audience-mismatch',
  subject: 'jane',
  audiences,
});

describe('audiences', () => {
  test.each([
    { case: 'what both name', named: ['a', 'b'], asked: ['b', 'c'], api: [], expected: ['b'] },
    {
      case: "the review's order",
      named: ['a', 'b', 'c'],
      asked: ['c', 'a'],
      api: [],
      expected: ['c', 'a'],
    },
    { case: 'nothing twice', named: ['a', 'a'], asked: ['a', 'a'], api: [], expected: ['a'] },
    {
      case: "the API server's own, where the review names none",
      named: ['a', 'b'],
      asked: [],
      api: ['b', 'x'],
      expected: ['b'],
    },
  ])('that pass are $case', async ({ named, asked, api, expected }) => {
    expect(await decide(bound(...named), asked, api)).toStrictEqual({
      kind: 'authenticated',
      user,
      audiences: expected,
    });
  });

  test.each([
    { case: 'none is in the review', named: ['a'], asked: ['b'], api: ['a'] },
    { case: 'the plugin names an empty list', named: [], asked: ['a'], api: ['a'] },
    {
      case: "the review names none and none is the API server's",
      named: ['a'],
      asked: [],
      api: ['b'],
    },
    {
      case: 'the review names none and no apiAudiences are configured',
      named: ['a'],
      asked: [],
      api: [],
    },
    { case: 'all lists are empty', named: [], asked: [], api: [] },
  ])('do not pass when $case', async ({ named, asked, api }) => {
    expect(await decide(bound(...named), asked, api)).toStrictEqual(mismatch(...named));
  });

  test('that do not pass are shown up to 16, and up to 256 characters of each', async () => {
    const long = 'a'.repeat(256);
    expect(await decide(bound(...Array<string>(17).fill(`${long}b`)), ['c'])).toStrictEqual(
      mismatch(...Array<string>(16).fill(long)),
    );
  });

  test.each([
    { audiences: ['b', 'c'], api: ['x'], words: 'asked for is b, c (the review)' },
    { audiences: [], api: ['x', 'y'], words: 'asked for is x, y (server.apiAudiences)' },
    {
      audiences: [],
      api: [],
      words: 'asked for is none: the review names none, and server.apiAudiences is empty',
    },
  ])(
    'that do not pass are shown to explain, with what is asked for: $audiences, $api',
    async ({ audiences, api, words }) => {
      const steps: string[] = [];
      const trace = (step: string) => void steps.push(step);
      const answer = async (decision: Decision) => {
        const plugin = { authenticate: async () => decision, close: async () => {} };
        return withAudiences(plugin, () => api).authenticate('t', { audiences, signal, trace });
      };
      expect(await answer(bound('a', 'd'))).toStrictEqual(mismatch('a', 'd'));
      expect(await answer(bound())).toStrictEqual(mismatch());
      await answer({ kind: 'authenticated', user });
      await answer({ kind: 'rejected', reason: 'audience-mismatch' });
      expect(await answer(bound('b', 'x'))).toMatchObject(
        api.length > 0 ? { kind: 'authenticated' } : mismatch('b', 'x'),
      );
      expect(steps.slice(0, 2)).toEqual(
        ['a, d', 'none'].map((own) => `the token is valid for the audiences ${own}, and ${words}`),
      );
      expect(steps).toHaveLength(api.length > 0 ? 2 : 3);
    },
  );

  test('that the plugin does not give are not in the answer, whatever the review asks', async () => {
    const unbound: Decision = { kind: 'authenticated', user };
    expect(await decide(unbound, ['a'], ['b'])).toStrictEqual(unbound);
    expect(await decide(unbound, [])).toStrictEqual(unbound);
  });

  test.each<Decision>([
    { kind: 'no-opinion' },
    { kind: 'rejected', reason: 'revoked', subject: 'x' },
  ])('leave $kind as it is', async (decision) => {
    expect(await decide(decision, ['a'])).toStrictEqual(decision);
  });
});

const provenance = {
  keyPrefix: 'sallyport.example.com',
  fingerprint: (token: string) => `digest of ${token}`,
};

async function ask(decision: Decision): Promise<Decision> {
  const inner = { authenticate: async () => decision, close: async () => {} };
  return withProvenance(inner, 'corp', provenance).authenticate('t', { audiences: [], signal });
}

describe('provenance', () => {
  test('is added to what the backend knows of a user, and changes nothing else', async () => {
    const added = {
      'sallyport.example.com/authenticator': ['corp'],
      'sallyport.example.com/credential': ['digest of t'],
    };
    const user = {
      username: 'jane',
      groups: ['a'],
      extra: { 'example.com/email': ['jane@example.com'] },
    };
    const decision = { kind: 'authenticated', user, audiences: ['a'] } as const;
    expect(await ask(decision)).toStrictEqual({
      ...decision,
      user: { ...user, extra: { ...user.extra, ...added } },
    });
    const bare = { kind: 'authenticated', user: { username: 'jane' } } as const;
    expect(await ask(bare)).toStrictEqual({ ...bare, user: { username: 'jane', extra: added } });
  });

  test.each<Decision>([
    { kind: 'no-opinion' },
    { kind: 'rejected', reason: 'locked', subject: 'jane' },
  ])('is not added to $kind', async (decision) => {
    expect(await ask(decision)).toBe(decision);
  });
});
