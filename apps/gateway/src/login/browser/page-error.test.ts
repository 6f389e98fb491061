import { expect, test } from 'vitest';
import { StatusError } from '../../http/kubernetes-status.ts';
import { LoginError, PageAnswer, tooMany, unavailable } from '../login-error.ts';
import { messages } from '../pages/texts.ts';
import { asPage, isPagePath, PageError } from './page-error.ts';

const publicUrl = 'https://login.example.com';

function pageOf(error: unknown) {
  const page = asPage(error, publicUrl);
  if (!(page instanceof PageAnswer)) throw new Error('it is no page');
  const [, title = ''] = /<title>(.*?)<\/title>/.exec(page.html) ?? [];
  return { page, title };
}

test.each([
  [new PageError('used', 409), 409, messages.used.title],
  [new PageError('expired', 404), 404, messages.expired.title],
  [new LoginError(403, 'forbidden', 'SECRET'), 403, messages.forbidden.title],
  [new LoginError(404, 'not-found', 'SECRET'), 404, messages['not-found'].title],
  [new LoginError(405, 'method-not-allowed', 'SECRET'), 405, messages['not-found'].title],
  [new StatusError(413, 'SECRET'), 413, messages['bad-request'].title],
  [new StatusError(415, 'SECRET'), 415, messages['bad-request'].title],
  [tooMany('SECRET', 7), 429, messages['too-many'].title],
  [unavailable('SECRET'), 503, messages.unavailable.title],
])('an error is a page of its kind: %s', (error, status, title) => {
  const found = pageOf(error);
  expect([found.page.status, found.title]).toEqual([status, title]);
  expect(found.page.html).not.toContain('SECRET');
  expect(found.page.headers['X-Frame-Options']).toBe('DENY');
  expect(found.page.headers['Content-Security-Policy']).toContain("frame-ancestors 'none'");
});

test('a page says how long to wait, and where to try again', () => {
  const { page } = pageOf(tooMany('', 7));
  expect([page.headers['Retry-After'], page.html.includes('Wait 7 seconds')]).toEqual(['7', true]);
  expect(pageOf(new PageError('forbidden', 403, '/login/x')).page.html).toContain(
    'href="/login/x"',
  );
});

test('pages are below /login/ alone', () => {
  for (const path of ['/login/', '/login/x', '/login/x/confirm'])
    expect(isPagePath(path)).toBe(true);
  for (const path of ['/', '/login', '/v1/logins', '/v1/login/x', '//login/x', '/LOGIN/x'])
    expect([path, isPagePath(path)]).toEqual([path, false]);
});
