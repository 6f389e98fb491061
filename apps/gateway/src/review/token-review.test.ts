import type { Decision } from '@sallyport/authenticator';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { StatusError } from '../http/kubernetes-status.ts';
import { isCheckable, parseTokenReview, toTokenReview } from './token-review.ts';

const v1 = 'authentication.k8s.io/v1';
const v1beta1 = 'authentication.k8s.io/v1beta1';

function refusal(body: unknown): StatusError {
  try {
    parseTokenReview(body);
  } catch (error) {
    if (error instanceof StatusError) return error;
    throw error;
  }
  throw new Error('was not refused');
}

describe('parseTokenReview', () => {
  test.each([v1, v1beta1])('reads %s', (apiVersion) => {
    const review = { apiVersion, kind: 'TokenReview', spec: { token: 't', audiences: ['a'] } };
    expect(parseTokenReview(review)).toEqual({ apiVersion, token: 't', audiences: ['a'] });
  });

  test('accepts what else kube-apiserver sends, and unknown fields', () => {
    const review = {
      apiVersion: v1,
      kind: 'TokenReview',
      metadata: { creationTimestamp: null },
      spec: { token: 't', audiences: null, later: 1 },
      status: { user: {} },
      more: true,
    };
    expect(parseTokenReview(review)).toEqual({ apiVersion: v1, token: 't', audiences: [] });
  });

  const good = { apiVersion: v1, kind: 'TokenReview', spec: { token: 't' } };
  test.each([
    { name: 'null', body: null, message: /body/ },
    { name: 'an array', body: [], message: /body/ },
    { name: 'a string', body: 'x', message: /body/ },
    { name: 'another kind', body: { ...good, kind: 'Status' }, message: /^kind/ },
    { name: 'no kind', body: { ...good, kind: undefined }, message: /^kind/ },
    { name: 'no version', body: { ...good, apiVersion: undefined }, message: /^apiVersion/ },
    {
      name: 'v2',
      body: { ...good, apiVersion: 'authentication.k8s.io/v2' },
      message: /^apiVersion.*\/v1 or .*\/v1beta1/,
    },
    { name: 'no spec', body: { ...good, spec: undefined }, message: /^spec .*"spec": \{"token"/ },
    { name: 'a list as spec', body: { ...good, spec: [] }, message: /^spec .*"spec": \{"token"/ },
    { name: 'no token', body: { ...good, spec: {} }, message: /^spec\.token .*"spec": \{"token"/ },
    {
      name: 'an empty token',
      body: { ...good, spec: { token: '' } },
      message: /^spec\.token .*"spec": \{"token"/,
    },
    {
      name: 'a number as token',
      body: { ...good, spec: { token: 7 } },
      message: /^spec\.token .*"spec": \{"token"/,
    },
    {
      name: 'Token in capitals',
      body: { ...good, spec: { Token: 't' } },
      message: /^spec\.token .*"spec": \{"token"/,
    },
    {
      name: 'audiences in a string',
      body: { ...good, spec: { token: 't', audiences: 'a' } },
      message: /^spec\.audiences must/,
    },
    {
      name: 'a number among audiences',
      body: { ...good, spec: { token: 't', audiences: ['a', 1] } },
      message: /^spec\.audiences\[1\]/,
    },
    {
      name: '17 audiences',
      body: { ...good, spec: { token: 't', audiences: Array(17).fill('a') } },
      message: /^spec\.audiences.*16/,
    },
    {
      name: '257 bytes',
      body: { ...good, spec: { token: 't', audiences: [`${'é'.repeat(128)}x`] } },
      message: /^spec\.audiences\[0\].*256/,
    },
  ])('refuses $name, naming the place', ({ body, message }) => {
    const error = refusal(body);
    expect(error.code).toBe(400);
    expect(error.message).toMatch(message);
  });

  test('takes 16 audiences of 256 bytes', () => {
    const audiences = Array(16).fill('é'.repeat(128));
    expect(parseTokenReview({ ...good, spec: { token: 't', audiences } }).audiences).toEqual(
      audiences,
    );
  });

  test('no message has a value in it, and nothing else is thrown', () => {
    const secret = 'hunter2hunter2';
    const value = fc.oneof(
      fc.constant(secret),
      fc.constant([secret]),
      fc.constant({ token: secret }),
      fc.json(),
    );
    const key = fc.constantFrom('kind', 'apiVersion', 'spec', 'token', 'audiences', secret);
    fc.assert(
      fc.property(fc.dictionary(key, value), (fields) => {
        for (const body of [
          { ...good, ...fields },
          { ...good, spec: { ...good.spec, ...fields } },
          fields,
        ]) {
          try {
            parseTokenReview(body);
          } catch (error) {
            expect(error).toBeInstanceOf(StatusError);
            expect(String(error)).not.toContain(secret);
          }
        }
      }),
    );
  });
});

describe('isCheckable', () => {
  test.each([
    ['of the largest size', 'é'.repeat(8), true],
    ['a byte over it', `${'é'.repeat(8)}x`, false],
    ['with half a surrogate pair', 'a\ud800', false],
    ['with the character that kube-apiserver writes in place of bad bytes', 'a\ufffd', false],
    ['with an emoji', 'a\u{1f600}', true],
  ])('a token %s: %s → %s', (_name, token, checkable) => {
    expect(isCheckable(token, 16)).toBe(checkable);
  });
});

describe('toTokenReview', () => {
  test('has the user, without the fields that the decision leaves out', () => {
    expect(toTokenReview(v1beta1, { kind: 'authenticated', user: { username: 'alice' } })).toEqual({
      apiVersion: v1beta1,
      kind: 'TokenReview',
      status: { authenticated: true, user: { username: 'alice' } },
    });
  });

  test.each<{ name: string; decision: Decision }>([
    {
      name: 'a rejected token',
      decision: { kind: 'rejected', reason: 'locked', subject: 'alice' },
    },
    { name: 'an empty username', decision: { kind: 'authenticated', user: { username: '' } } },
    { name: 'no username', decision: { kind: 'authenticated', user: {} as { username: string } } },
    {
      name: 'empty audiences',
      decision: { kind: 'authenticated', user: { username: 'alice' }, audiences: [] },
    },
  ])('$name is not authenticated, without a reason', ({ decision }) => {
    expect(toTokenReview(v1, decision).status).toEqual({ authenticated: false });
  });
});
