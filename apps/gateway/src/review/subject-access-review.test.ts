import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { StatusError } from '../http/kubernetes-status.ts';
import {
  type AccessResult,
  parseAccessReview,
  writeAccessAnswer,
} from './subject-access-review.ts';

const key = 'authentication.kubernetes.io/credential-id';
const v1 = 'authorization.k8s.io/v1';

function write(spec: unknown, apiVersion = v1): string {
  return JSON.stringify({ apiVersion, kind: 'SubjectAccessReview', spec });
}

describe('a SubjectAccessReview', () => {
  test.each([
    [v1, 'groups'],
    ['authorization.k8s.io/v1beta1', 'group'],
  ])('of %s has its groups in spec.%s', (apiVersion, groupsKey) => {
    const spec = {
      user: 'jane',
      [groupsKey]: ['dev', 'ops'],
      extra: { [key]: ['JTI=a'], x: ['y'] },
    };
    expect(parseAccessReview(write(spec, apiVersion))).toEqual({
      apiVersion,
      subject: { username: 'jane', groups: ['dev', 'ops'], credentialIds: ['JTI=a'] },
      spec,
    });
    const otherKey = groupsKey === 'groups' ? 'group' : 'groups';
    const review = parseAccessReview(write({ user: 'jane', [otherKey]: ['dev'] }, apiVersion));
    expect(review.subject.groups).toEqual([]);
  });

  test.each([{}, { user: null, groups: null, extra: null }, { extra: { [key]: null } }])(
    'without a name, groups or IDs is about no one: %j',
    (spec) => {
      const { subject } = parseAccessReview(write(spec));
      expect(subject).toEqual({ username: '', groups: [], credentialIds: [] });
    },
  );

  test.each([
    ['with a __proto__ in extra', '"extra": {"__proto__": ["x"]}'],
    ['whose user is there twice', '"user": "john"'],
    ['whose user has escapes', '"\\u0075ser": "\\u006aane"'],
  ])('%s is read as Go reads it', (_name, addition) => {
    const body = `{"apiVersion":"${v1}","kind":"SubjectAccessReview","spec":{${addition},"user":"jane"}}`;
    expect(parseAccessReview(body).subject.username).toBe('jane');
  });

  test.each([
    ['', 'the body must be a JSON object'],
    ['[]', 'the body must be a SubjectAccessReview object'],
    ['null', 'the body must be a SubjectAccessReview object'],
    ['{"kind":"TokenReview"}', 'kind must be SubjectAccessReview'],
    [write({}, 'authorization.k8s.io/v2'), 'apiVersion must be authorization.k8s.io/v1 or'],
    [write([]), 'spec must be an object'],
    [write({ user: 7 }), 'spec.user must be a string'],
    [write({ groups: 'secret' }), 'spec.groups must be an array of strings'],
    [write({ groups: ['a', 7] }), 'spec.groups must be an array of strings'],
    [write({ extra: ['secret'] }), 'spec.extra must be an object'],
    [write({ extra: { [key]: 'secret' } }), `spec.extra["${key}"] must be an array of strings`],
  ])('%s is refused, and nothing of it is quoted', (body, message) => {
    const problem = catchError(() => parseAccessReview(body));
    expect(problem).toMatchObject({ code: 400, message: expect.stringContaining(message) });
    expect(problem?.message).not.toContain('secret');
  });

  test('of any text is read, or refused with 400', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.json(),
          fc.string(),
          fc.jsonValue().map((spec) => write(spec)),
        ),
        (body) => {
          const problem = catchError(() => parseAccessReview(body));
          expect(problem === undefined || problem.code === 400).toBe(true);
        },
      ),
    );
  });
});

function catchError(act: () => unknown): StatusError | undefined {
  try {
    act();
    return undefined;
  } catch (error) {
    if (error instanceof StatusError) return error;
    throw error;
  }
}

const block = {
  id: 'a',
  action: 'block',
  kind: 'user',
  name: 'jane',
  revision: 1,
  at: 0,
  until: Date.UTC(2026, 11, 2, 7, 59, 1),
  keptUntil: 0,
  by: 'an-operator',
  reason: 'a private reason',
} as const;

describe('an answer', () => {
  test.each<{ result: AccessResult; status: object }>([
    { result: { kind: 'no-opinion' }, status: { allowed: false } },
    {
      result: { kind: 'blocked', block },
      status: {
        allowed: false,
        denied: true,
        reason: 'sallyport: blocked until 2026-12-02T08:00Z',
      },
    },
    {
      result: { kind: 'ended' },
      status: {
        allowed: false,
        denied: true,
        reason: 'sallyport: this session or token was logged out or revoked',
      },
    },
    {
      result: { kind: 'too-large' },
      status: {
        allowed: false,
        denied: true,
        reason: 'sallyport: the request is too large to check (server.maxBodySize of the gateway)',
      },
    },
  ])('to $result.kind has the version of the request, and allows nothing', ({ result, status }) => {
    for (const apiVersion of [v1, 'authorization.k8s.io/v1beta1'] as const) {
      expect(JSON.parse(writeAccessAnswer(apiVersion, result))).toEqual({
        apiVersion,
        kind: 'SubjectAccessReview',
        status,
      });
    }
  });

  test('is an error when it is not known who is blocked', () => {
    const problem = catchError(() => writeAccessAnswer(v1, { kind: 'unknown' }));
    expect(problem).toMatchObject({ code: 503 });
  });

  test('to a block without a real end has the last moment there is', () => {
    const forever = { ...block, until: Number.MAX_SAFE_INTEGER };
    expect(writeAccessAnswer(v1, { kind: 'blocked', block: forever })).toContain(
      'until +275760-09-13T00:00Z',
    );
  });
});
