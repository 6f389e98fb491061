import { afterAll, describe, expect, test } from 'vitest';
import { open } from './testing/open.ts';
import { type Behaviour, letIn, reviewWith, startReviewServer, user } from './testing/server.ts';
import { optionsFor, prefix } from './testing/written-options.ts';

const token = `${prefix}a-token`;
const authenticated = { kind: 'authenticated', user };
const noOpinion = { kind: 'no-opinion' };
const rejected = { kind: 'rejected', reason: 'invalid-credentials' };

const server = await startReviewServer(letIn);
afterAll(() => server[Symbol.asyncDispose]());

/** The outcome of each answer of another webhook. An error is `failed` or `unavailable`, and never a refusal. */
describe('the answers of another webhook', () => {
  const no = reviewWith({ user: {} });
  const failed = { code: 'failed' };
  const unavailable = { code: 'unavailable' };
  test.each<[string, Awaited<ReturnType<Behaviour>>, object, object]>([
    [
      '200 true with a name',
      { body: reviewWith({ authenticated: true, user }) },
      {},
      authenticated,
    ],
    [
      '201 true with a name',
      { status: 201, body: reviewWith({ authenticated: true, user }) },
      {},
      authenticated,
    ],
    [
      '200 true and an error',
      { body: reviewWith({ authenticated: true, user, error: 'x' }) },
      {},
      authenticated,
    ],
    [
      'true in v1beta1',
      { body: reviewWith({ authenticated: true, user }, 'v1beta1') },
      {},
      authenticated,
    ],
    [
      'true without apiVersion',
      { body: { status: { authenticated: true, user } } },
      {},
      authenticated,
    ],
    ['200 false', { body: no }, {}, noOpinion],
    [
      '200 false, written out',
      { body: reviewWith({ authenticated: false, error: '' }) },
      {},
      noOpinion,
    ],
    ['200 false, a refusal', { body: no }, { onUnauthenticated: 'rejected' }, rejected],
    ['201 false', { status: 201, body: no }, {}, noOpinion],
    ['200 false with error', { body: reviewWith({ error: 'ldap is away' }) }, {}, failed],
    [
      '200 false with error, no opinion',
      { body: reviewWith({ error: 'x' }) },
      { onError: 'no-opinion' },
      noOpinion,
    ],
    [
      '200 false with error, rejected',
      { body: reviewWith({ error: 'x' }) },
      { onError: 'rejected' },
      rejected,
    ],
    [
      '200 false with error, a refusal',
      { body: reviewWith({ error: 'x' }) },
      { onUnauthenticated: 'rejected' },
      failed,
    ],
    ['201 false with error', { status: 201, body: reviewWith({ error: 'x' }) }, {}, failed],
    [
      'an error that only an API server means so',
      { body: reviewWith({ error: 'invalid bearer token' }) },
      {},
      failed,
    ],
    ...[400, 401, 403].flatMap(
      (status): [string, { status: number; body: object }, object, object][] => [
        [`${status}`, { status, body: no }, {}, noOpinion],
        [
          `${status} with a user`,
          { status, body: reviewWith({ authenticated: true, user }) },
          {},
          noOpinion,
        ],
        [`${status}, a refusal`, { status, body: no }, { onUnauthorized: 'rejected' }, rejected],
        [`${status}, an outage`, { status, body: no }, { onUnauthorized: 'unavailable' }, failed],
        [`${status}, to a bearer`, { status, body: no }, { bearer: 'x' }, failed],
        [
          `${status}, to a bearer, by the config`,
          { status, body: no },
          { bearer: 'x', onUnauthorized: 'rejected' },
          rejected,
        ],
      ],
    ),
    ...[202, 204, 206, 301, 302, 307, 404, 405, 409, 415, 422, 429, 500, 502, 503, 504].map(
      (status): [string, { status: number; body: object }, object, object] => [
        `${status} with a user`,
        { status, body: reviewWith({ authenticated: true, user }) },
        {},
        unavailable,
      ],
    ),
    // A long token, or a token of a user with very many groups, must not open the circuit for all others.
    ...[413, 414, 431].map((status): [string, { status: number }, object, object] => [
      `${status}`,
      { status },
      {},
      failed,
    ]),
    ['not JSON', { body: '<html>' }, {}, unavailable],
    ['nothing', { body: '' }, {}, unavailable],
    [
      'another apiVersion',
      { body: { ...no, apiVersion: 'authentication.k8s.io/v2' } },
      {},
      unavailable,
    ],
    ['another kind', { body: { ...no, kind: 'Status' } }, {}, unavailable],
    ['no status', { body: { kind: 'TokenReview' } }, {}, unavailable],
    ['true without a user', { body: reviewWith({ authenticated: true }) }, {}, failed],
    [
      'true with an empty name',
      { body: reviewWith({ authenticated: true, user: { username: '' } }) },
      {},
      failed,
    ],
    ['true as a text', { body: reviewWith({ authenticated: 'true', user }) }, {}, unavailable],
    ['compressed', { headers: { 'content-encoding': 'gzip' }, body: no }, {}, unavailable],
    [
      'too big',
      { body: reviewWith({ authenticated: true, user, more: 'x'.repeat(2000) }) },
      { maxResponseSize: '1KiB' },
      failed,
    ],
  ])('%s', async (_name, reply, more, expected) => {
    server.behave(() => reply);
    const { ask, failure } = await open(optionsFor(server, more));
    expect(await ('code' in expected ? failure(token) : ask(token))).toMatchObject(expected);
    if (!('code' in expected)) expect(await ask(token)).toEqual(expected);
    expect(server.received.every(({ path }) => path === '/authenticate')).toBe(true);
  });
});
