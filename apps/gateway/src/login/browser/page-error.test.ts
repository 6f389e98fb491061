import { expect, test } from 'vitest';
import { StatusError } from '../../http/kubernetes-status.ts';
import {
  enrolmentEnded,
  factorNotEnrolled,
  invitationRequired,
  LoginError,
  noSecondFactor,
  tooMany,
  unavailable,
  wrongInvitation,
} from '../login-error.ts';
import { messages } from '../pages/texts.ts';
import { isPagePath, PageError, pageOfError } from './page-error.ts';

const publicUrl = 'https://login.example.com';

function pageOf(error: unknown) {
  const { code, body, headers = {} } = pageOfError(error, publicUrl) ?? {};
  const html = String(body);
  return { code, html, headers, title: /<title>(.*?)<\/title>/.exec(html)?.[1] };
}

test.each([
  [new PageError('used', 409), 409, messages.used.title],
  [new PageError('expired', 404), 404, messages.expired.title],
  [new LoginError(403, 'forbidden', 'SECRET'), 403, messages.forbidden.title],
  [new LoginError(404, 'not-found', 'SECRET'), 404, messages['not-found'].title],
  [new LoginError(405, 'method-not-allowed', 'SECRET'), 405, messages['not-found'].title],
  [new StatusError(413, 'SECRET'), 413, messages['bad-request'].title],
  [new StatusError(415, 'SECRET'), 415, messages['bad-request'].title],
  [factorNotEnrolled(), 401, messages['not-enrolled'].title],
  [invitationRequired(), 401, messages['invitation-required'].title],
  [wrongInvitation(), 401, messages['wrong-invitation'].title],
  [enrolmentEnded(), 409, messages['factors-ended'].title],
  [noSecondFactor(), 404, messages['no-second-factor'].title],
  [tooMany('SECRET', 7), 429, messages['too-many'].title],
  [unavailable('SECRET'), 503, messages.unavailable.title],
  [new StatusError(500, 'SECRET'), 500, messages.error.title],
])('an error is a page of its kind: %s', (error, status, title) => {
  const found = pageOf(error);
  expect([found.code, found.title]).toEqual([status, title]);
  expect(found.html).not.toContain('SECRET');
  expect(found.headers['X-Frame-Options']).toBe('DENY');
  expect(found.headers['Content-Security-Policy']).toContain("frame-ancestors 'none'");
});

test('a page says how long to wait, and where to try again', () => {
  const { headers, html } = pageOf(tooMany('', 7));
  expect([headers['Retry-After'], html.includes('Wait 7 seconds')]).toEqual(['7', true]);
  expect(pageOf(new PageError('forbidden', 403, '/login/x')).html).toContain('href="/login/x"');
});

test('a bug of ours is none of them', () => {
  expect(pageOfError(new Error('SECRET'), publicUrl)).toBeUndefined();
});

test('pages are below /login/ alone', () => {
  for (const path of ['/login/', '/login/x', '/login/x/confirm'])
    expect(isPagePath(path)).toBe(true);
  for (const path of ['/', '/login', '/v1/logins', '/v1/login/x', '//login/x', '/LOGIN/x'])
    expect([path, isPagePath(path)]).toEqual([path, false]);
});
