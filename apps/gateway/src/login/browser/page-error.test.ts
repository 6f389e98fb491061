import { expect, test } from 'vitest';
import { StatusError } from '../../http/kubernetes-status.ts';
import {
  createUnavailableError,
  enrolmentEnded,
  factorNotEnrolled,
  invitationRequired,
  LoginError,
  noSecondFactor,
  noSession,
  tooMany,
  wrongInvitation,
} from '../login-error.ts';
import { defaultBrand } from '../pages/document.ts';
import { messages } from '../pages/texts.ts';
import { isPagePath, PageError, pageOfError, wantsPage } from './page-error.ts';

const options = { publicUrl: 'https://login.example.com', brand: defaultBrand };

function makeErrorPage(error: unknown, brand = defaultBrand) {
  const { code, body, headers = {} } = pageOfError(error, { ...options, brand }) ?? {};
  const html = String(body);
  return { code, html, headers, title: /<title>(.*?)<\/title>/.exec(html)?.[1] };
}

test.each([
  { error: new PageError('used', 409), status: 409, title: messages.used.title },
  { error: new PageError('expired', 404), status: 404, title: messages.expired.title },
  {
    error: new LoginError(403, 'forbidden', 'SECRET'),
    status: 403,
    title: messages.forbidden.title,
  },
  {
    error: new LoginError(404, 'not-found', 'SECRET'),
    status: 404,
    title: messages['not-found'].title,
  },
  {
    error: new LoginError(405, 'method-not-allowed', 'SECRET'),
    status: 405,
    title: messages['not-found'].title,
  },
  { error: new StatusError(413, 'SECRET'), status: 413, title: messages['bad-request'].title },
  { error: new StatusError(415, 'SECRET'), status: 415, title: messages['bad-request'].title },
  { error: noSession(), status: 401, title: messages['not-found'].title },
  { error: factorNotEnrolled(), status: 401, title: messages['not-enrolled'].title },
  { error: invitationRequired(), status: 401, title: messages['invitation-required'].title },
  { error: wrongInvitation(), status: 401, title: messages['wrong-invitation'].title },
  { error: enrolmentEnded(), status: 409, title: messages['factors-ended'].title },
  { error: noSecondFactor(), status: 404, title: messages['no-second-factor'].title },
  { error: tooMany('SECRET', 7), status: 429, title: messages['too-many'].title },
  { error: createUnavailableError('SECRET'), status: 503, title: messages.unavailable.title },
  { error: new StatusError(500, 'SECRET'), status: 500, title: messages.error.title },
])('an error of status $status is the page "$title"', ({ error, status, title }) => {
  const found = makeErrorPage(error);
  expect([found.code, found.title]).toEqual([status, title]);
  expect(found.html).not.toContain('SECRET');
  expect(found.headers['X-Frame-Options']).toBe('DENY');
  expect(found.headers['Content-Security-Policy']).toContain("frame-ancestors 'none'");
});

test('a page says how long to wait, and where to try again', () => {
  const { headers, html } = makeErrorPage(tooMany('', 7));
  expect([headers['Retry-After'], html.includes('Wait 7s')]).toEqual(['7', true]);
  expect(makeErrorPage(new PageError('forbidden', 403, '/login/x')).html).toContain(
    'href="/login/x"',
  );
});

test('each page has the logo, except the answer to a client that asks too often', () => {
  const brand = { title: 'Acme', logo: `data:image/png;base64,${'A'.repeat(40_000)}` };
  expect(makeErrorPage(new PageError('used', 409), brand).html).toContain(brand.logo);
  const { html } = makeErrorPage(tooMany('', 7), brand);
  expect([html.includes('<header>Acme</header>'), html.length < 10_000]).toEqual([true, true]);
});

test.each([
  ['/', 'text/html,application/xhtml+xml,*/*;q=0.8', true],
  ['/favicon', 'TEXT/HTML', true],
  ['/login/x', undefined, true],
  ['/v1/session', 'application/json', false],
  ['/v1/session', '*/*', false],
  ['/unknown', undefined, false],
])('an error at %s for a client that accepts %s is a page: %s', (url, accept, isPage) => {
  expect(wantsPage({ url, headers: { ...(accept !== undefined && { accept }) } })).toBe(isPage);
});

test('a bug of ours is none of them', () => {
  expect(pageOfError(new Error('SECRET'), options)).toBeUndefined();
});

test('pages are below /login/ alone', () => {
  for (const path of ['/login/', '/login/x', '/login/x/confirm'])
    expect(isPagePath(path)).toBe(true);
  for (const path of ['/', '/login', '/v1/logins', '/v1/login/x', '//login/x', '/LOGIN/x'])
    expect([path, isPagePath(path)]).toEqual([path, false]);
});
