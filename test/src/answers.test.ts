import { describe, expect, test } from 'vitest';
import { protocols, startFleet } from './testing/protocols.ts';
import type { Answer } from './testing/script-messages.ts';
import { authenticated, type ScriptedBackend, startScriptedBackend } from './testing/scripted-backend.ts';
import { apiVersion, type ReviewStatus, reviewBody, versions } from './testing/token-review.ts';
import { awkwardToken, randomToken } from './testing/tokens.ts';

/** One row: what the only backend says, what the review asks, and the `status` that kube-apiserver must get. */
interface Row {
  readonly name: string;
  readonly backend: Answer;
  readonly audiences?: readonly string[];
  readonly status: ReviewStatus;
}

const user = { username: 'ada', uid: '4711', groups: ['ops', 'dev'], extra: { 'example.com/team': ['blue', 'red'] } };
const bound = (audiences: readonly string[]): Answer => ({ kind: 'authenticated', user, audiences });
const yes = { authenticated: true, user };
const no = { authenticated: false };
const cannotCheck = { authenticated: false, error: 'authenticator corp unavailable' };

const rows: readonly Row[] = [
  { name: 'a user with all fields', backend: { kind: 'authenticated', user }, status: yes },
  {
    name: 'a user of a name alone',
    backend: { kind: 'authenticated', user: { username: 'ada' } },
    status: { authenticated: true, user: { username: 'ada' } },
  },
  {
    name: 'a token that ends in an hour',
    backend: { kind: 'authenticated', user, expiresAt: new Date(Date.now() + 3_600_000) },
    status: yes,
  },
  {
    name: 'a token that ended a second ago',
    backend: { kind: 'authenticated', user, expiresAt: new Date(Date.now() - 1000) },
    status: no,
  },
  {
    name: 'an authenticator that knows nothing of audiences, and a review that asks for one',
    backend: { kind: 'authenticated', user },
    audiences: ['https://api.example.com'],
    status: yes,
  },
  {
    name: 'a token bound to two audiences, one of them asked for',
    backend: bound(['vault', 'https://api.example.com']),
    audiences: ['https://other.example.com', 'https://api.example.com'],
    status: { ...yes, audiences: ['https://api.example.com'] },
  },
  {
    name: 'a token bound to another audience than the one asked for',
    backend: bound(['vault']),
    audiences: ['https://api.example.com'],
    status: no,
  },
  { name: 'a token bound to no audience', backend: bound([]), audiences: ['vault'], status: no },
  {
    name: "a token bound to the API server's audience, and a review that names none",
    backend: bound(['kubernetes', 'vault']),
    status: { ...yes, audiences: ['kubernetes'] },
  },
  { name: 'a token bound to another audience, and a review that names none', backend: bound(['vault']), status: no },
  { name: 'a token refused as revoked', backend: { kind: 'rejected', reason: 'revoked' }, status: no },
  {
    name: 'a wrong password',
    backend: { kind: 'rejected', reason: 'invalid-credentials', subject: 'ada' },
    status: no,
  },
  { name: 'a token that no one knows', backend: { kind: 'no-opinion' }, status: no },
  { name: 'a backend that is down', backend: { kind: 'throw', code: 'unavailable' }, status: cannotCheck },
  { name: 'a record that can not be read', backend: { kind: 'throw', code: 'failed' }, status: cannotCheck },
  { name: 'a decision of no known kind', backend: { kind: 'nonsense', value: { kind: 'yes' } }, status: cannotCheck },
  { name: 'no decision at all', backend: { kind: 'nonsense', value: null }, status: cannotCheck },
  {
    name: 'a positive answer without a user',
    backend: { kind: 'nonsense', value: { kind: 'authenticated' } },
    status: cannotCheck,
  },
  { name: 'a system: name that the config does not list', backend: authenticated('system:admin'), status: no },
  {
    name: 'a system: group that the config does not list',
    backend: authenticated('ada', ['system:nodes']),
    status: no,
  },
  {
    name: 'a system: group that the config lists',
    backend: authenticated('ada', ['system:masters']),
    status: { authenticated: true, user: { username: 'ada', groups: ['system:masters'] } },
  },
];

let backend: ScriptedBackend;

const fleet = startFleet(async () => {
  backend = await startScriptedBackend();
  const corp = backend.authenticator('corp', { allowSystemNames: ['system:masters'], circuit: { minimumCalls: 1000 } });
  return { config: { server: { apiAudiences: ['kubernetes'] }, authenticators: [corp] } };
});

describe.each(protocols)('over %s', (protocol) => {
  describe.each(versions)('a TokenReview %s', (version) => {
    test.each(rows)('for $name', async (row) => {
      const token = randomToken();
      backend.answer(token, row.backend);
      const body = reviewBody(token, version, row.audiences);
      const response = await fleet.client(protocol).send({ body });
      expect(response.status).toBe(200);
      expect(response.headers['content-type']).toMatch(/^application\/json/);
      expect(JSON.parse(response.text)).toEqual({
        apiVersion: apiVersion(version),
        kind: 'TokenReview',
        status: row.status,
      });
      expect(backend.callsOf(token)).toHaveLength(1);
      expect(backend.callsOf(token)[0]?.audiences).toEqual(row.audiences ?? []);
    });

    test('for a token of characters that JSON and URLs escape', async () => {
      const token = awkwardToken();
      backend.answer(token, authenticated('ada'));
      const response = await fleet.client(protocol).send({ body: reviewBody(token, version) });
      expect(JSON.parse(response.text).status).toEqual({ authenticated: true, user: { username: 'ada', groups: [] } });
    });

    test('for a token over maxTokenSize is unknown, and no backend is asked', async () => {
      const token = randomToken(12 * 1024 + 3);
      backend.answer(token, authenticated('ada'));
      const response = await fleet.client(protocol).send({ body: reviewBody(token, version) });
      expect(response.status).toBe(200);
      expect(JSON.parse(response.text).status).toEqual(no);
      expect(backend.callsOf(token)).toEqual([]);
    });

    test('for a token of maxTokenSize is asked for', async () => {
      const token = randomToken(12 * 1024);
      backend.answer(token, authenticated('ada'));
      const response = await fleet.client(protocol).send({ body: reviewBody(token, version) });
      expect(JSON.parse(response.text).status.authenticated).toBe(true);
    });

    test('for an empty username never lets a user in', async () => {
      const token = randomToken();
      backend.answer(token, authenticated(''));
      const response = await fleet.client(protocol).send({ body: reviewBody(token, version) });
      expect(JSON.parse(response.text).status).not.toHaveProperty('user');
      expect(JSON.parse(response.text).status.authenticated).toBe(false);
    });
  });
});
