import { describe, expect, test } from 'vitest';
import type { AccessDecision } from '../engine/revocation/access-denial.ts';
import { send, type TestAnswer } from '../testing/clients.ts';
import { startTestServer, type TestServer } from '../testing/server.ts';

function accessReview(spec: object = { user: 'jane' }, version = 'v1'): string {
  const apiVersion = `authorization.k8s.io/${version}`;
  return JSON.stringify({ apiVersion, kind: 'SubjectAccessReview', spec });
}

const settings = { authorize: true };

function ask(server: TestServer, body = accessReview()): Promise<TestAnswer> {
  return send(server.url, { path: '/authorize?timeout=30s', body });
}

const blocked: AccessDecision = {
  kind: 'blocked',
  block: {
    id: 'a',
    action: 'block',
    kind: 'user',
    name: 'jane',
    revision: 1,
    at: 0,
    until: Date.UTC(2026, 11, 2, 8),
    keptUntil: 0,
    by: 'root',
  },
};

describe('POST /authorize', () => {
  test.each(['v1', 'v1beta1'])('answers in the version of the request: %s', async (version) => {
    const subjects: unknown[] = [];
    const decide = (subject: unknown): AccessDecision => {
      subjects.push(subject);
      return blocked;
    };
    const server = await startTestServer({ settings, decide });
    const answer = await ask(server, accessReview({ user: 'jane' }, version));
    expect(answer.status).toBe(200);
    expect(answer.headers['content-type']).toMatch(/^application\/json/);
    expect(answer.json).toEqual({
      apiVersion: `authorization.k8s.io/${version}`,
      kind: 'SubjectAccessReview',
      status: {
        allowed: false,
        denied: true,
        reason: 'sallyport: blocked until 2026-12-02T08:00Z',
      },
    });
    expect(subjects).toEqual([{ username: 'jane', groups: [], credentialIds: [] }]);
    expect(server.accessReports).toMatchObject([{ outcome: 'denied', version }]);
    expect([server.accessInFlight.count, server.inFlight.count]).toEqual([0, 0]);
  });

  test('answers 503 when it is not known who is blocked, which kube-apiserver does not retry', async () => {
    const server = await startTestServer({ settings, decide: () => ({ kind: 'unknown' }) });
    const answer = await ask(server);
    expect(answer).toMatchObject({
      status: 503,
      json: { kind: 'Status', apiVersion: 'v1', reason: 'ServiceUnavailable', code: 503 },
    });
    expect(answer.headers).not.toHaveProperty('retry-after');
    expect(server.accessReports).toMatchObject([{ outcome: 'unknown-list', version: 'v1' }]);
  });

  test('denies a body that is too large, in the version of the last request', async () => {
    const server = await startTestServer({ settings: { ...settings, maxBodySize: 200 } });
    const large = accessReview({ user: 'j'.repeat(200) });
    for (const version of ['v1', 'v1beta1']) {
      await ask(server, accessReview({}, version));
      expect(await ask(server, large)).toMatchObject({
        status: 200,
        json: {
          apiVersion: `authorization.k8s.io/${version}`,
          status: { allowed: false, denied: true },
        },
      });
    }
    expect(server.accessReports.at(-1)).toMatchObject({ outcome: 'too-large', version: undefined });
  });

  test('answers 503 beyond server.maxInFlight, and token reviews go on; so do access reviews in the reverse case', async () => {
    const server = await startTestServer({ settings: { ...settings, maxInFlight: 2 } });
    const leaveAccess = [server.accessInFlight.enter(2), server.accessInFlight.enter(2)];
    expect(await ask(server)).toMatchObject({ status: 503, json: { code: 503 } });
    expect(server.accessReports).toMatchObject([{ outcome: 'overloaded' }]);
    expect(await send(server.url)).toMatchObject({ status: 200 });
    for (const leave of leaveAccess) leave?.();
    server.inFlight.enter(2);
    server.inFlight.enter(2);
    expect(await send(server.url)).toMatchObject({ status: 429 });
    expect(await ask(server)).toMatchObject({ status: 200, json: { status: { allowed: false } } });
  });

  test('is refused as token reviews are when the body is wrong', async () => {
    const server = await startTestServer({ settings });
    expect(await ask(server, '{}')).toMatchObject({ status: 400, json: { reason: 'BadRequest' } });
    expect(server.accessReports).toMatchObject([{ outcome: 'invalid', version: undefined }]);
    const headers = { 'Content-Type': 'text/plain' };
    expect(await send(server.url, { path: '/authorize', headers })).toMatchObject({ status: 415 });
  });

  test('answers 500 to a bug, and says nothing of it', async () => {
    const decide = () => {
      throw new Error('a private detail');
    };
    const server = await startTestServer({ settings, decide });
    const answer = await ask(server);
    expect(answer.status).toBe(500);
    expect(answer.text).not.toContain('private');
    expect(server.accessReports).toMatchObject([{ outcome: 'error' }]);
  });

  test('is not there when server.authorize is off, and comes and goes with it', async () => {
    const server = await startTestServer();
    expect(await ask(server)).toMatchObject({
      status: 404,
      json: { message: 'not found: server.authorize is off at this gateway' },
    });
    expect(server.log).toMatchObject([{ level: 'warn', fields: { path: '/authorize' } }]);
    server.settings.authorize = true;
    expect(await ask(server)).toMatchObject({ status: 200 });
    server.settings.authorize = false;
    expect(await ask(server)).toMatchObject({ status: 404 });
  });
});

test('an access review is answered when an observer fails', async () => {
  const server = await startTestServer({ settings, failsToObserve: true });
  expect(await ask(server)).toMatchObject({ status: 200 });
  expect(server.log).toMatchObject([
    { level: 'error', message: 'access review could not be recorded' },
  ]);
});
