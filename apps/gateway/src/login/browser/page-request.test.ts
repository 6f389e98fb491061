import type { Context } from 'koa';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createSealingKey } from '../../engine/sealing/seal.ts';
import { attemptLifetime, createAttemptTexts, keyLength } from '../attempts/attempt.ts';
import { shortenChallenge } from '../attempts/attempt-bytes.ts';
import type { LoginRequest } from '../login-request.ts';
import { createRateLimit } from '../rate-limit.ts';
import { randomText, secretDigest } from '../secret-text.ts';
import {
  beginState,
  describeAttempt,
  describeForm,
  pageRequest,
  readState,
  requireForm,
  requireState,
} from './page-request.ts';

const texts = createAttemptTexts([createSealingKey(Buffer.alloc(32, 'A'))], Date.now, []);
// A cookie lasts as long as its attempt, to the second.
beforeEach(() => void vi.useFakeTimers({ toFake: ['Date'], now: new Date('2030-01-01') }));
afterEach(() => void vi.useRealTimers());

const pageLimit = (count: number) => ({
  pages: createRateLimit(
    () => ({ count, per: 60_000 }),
    () => 0,
  ),
});
const [https, loopback] = ['https://login.example.com', 'http://127.0.0.1:8444'];

function newAttempt(address = '192.0.2.1') {
  const challenge = shortenChallenge(secretDigest(randomText(43)));
  return texts.begin({ until: Date.now() + attemptLifetime, challenge, address });
}

/** A request for a page of an attempt, and the cookies that it sets. */
function requestFor(
  sealed: string,
  { cookie, publicUrl = https, address = '192.0.2.1' }: Readonly<Record<string, string>> = {},
  limits = pageLimit(100),
) {
  const set: string[] = [];
  const request = {
    context: {
      params: { attempt: sealed },
      req: { headers: cookie === undefined ? {} : { cookie } },
      set: (_: string, values: readonly string[]) => void set.push(...values),
    } as unknown as Context,
    service: { config: { publicUrl }, browser: { attempts: texts } },
    address,
    facts: { action: 'page' },
    limits,
  } as unknown as LoginRequest;
  return { request, set };
}

/** The cookie that the first page of an attempt gives, as the browser sends it. */
function cookieOf(sealed: string, publicUrl = https): string {
  const { request, set } = requestFor(sealed, { publicUrl });
  beginState(pageRequest(request));
  return set[0]?.split(';')[0] ?? '';
}

describe('the cookie of an attempt', () => {
  test.each([
    {
      publicUrl: https,
      pattern: /^__Host-sallyport-ID=[\w-]+; Path=\/; Max-Age=600; HttpOnly; SameSite=Lax; Secure$/,
    },
    {
      publicUrl: loopback,
      pattern: /^sallyport-ID=[\w-]+; Path=\/; Max-Age=600; HttpOnly; SameSite=Lax$/,
    },
  ])('is for this host, and with TLS for no other: $publicUrl', ({ publicUrl, pattern }) => {
    const { id, sealed } = newAttempt();
    const { request, set } = requestFor(sealed, { publicUrl });
    beginState(pageRequest(request));
    expect(set).toHaveLength(1);
    expect(set[0]?.replace(id, 'ID')).toMatch(pattern);
  });

  test('is found among the others, by its whole name', () => {
    const { id, sealed } = newAttempt();
    const cookie = cookieOf(sealed);
    const { secret = '' } = readState(requestFor(sealed, { cookie }).request, id) ?? {};
    expect(secret).toMatch(/^[\w-]{43}$/);
    const value = cookie.slice(cookie.indexOf('=') + 1);
    const states = (header: string, publicUrl = https) =>
      readState(requestFor(sealed, { cookie: header, publicUrl }).request, id)?.secret;
    for (const header of [`a=b; ${cookie}`, `${cookie}; a=b`, `a=${cookie}; ${cookie}`])
      expect(states(header)).toBe(secret);
    for (const header of [
      '',
      value,
      `x${cookie}`,
      `a=${cookie}`,
      // Any sibling of the host can set a cookie without the prefix.
      `sallyport-${id}=${value}`,
      `__Host-sallyport-${id.slice(1)}=${value}`,
      `__Host-sallyport-${id}=`,
      `__Host-sallyport-${id}=${value}A`,
    ])
      expect([header, states(header)]).toEqual([header, undefined]);
    expect(states(cookie, loopback)).toBeUndefined();
  });

  test('of an older attempt is forgotten once there are eight', () => {
    const all = Array.from({ length: 12 }, () => newAttempt());
    const cookies = all.map(({ sealed }) => cookieOf(sealed));
    const setWith = (count: number) => {
      const { sealed } = newAttempt();
      const cookie = ['theme=dark', ...cookies.slice(0, count), '__Host-other=1'].join('; ');
      const { request, set } = requestFor(sealed, { cookie });
      beginState(pageRequest(request));
      return set.slice(1);
    };
    expect(setWith(7)).toEqual([]);
    const forgotten = (index: number) =>
      `__Host-sallyport-${all[index]?.id}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax; Secure`;
    expect(setWith(8)).toEqual([forgotten(0)]);
    expect(setWith(12)).toEqual([0, 1, 2, 3, 4].map(forgotten));
    // Its own cookie takes no other's place.
    const { request, set } = requestFor(all[0]?.sealed ?? '', {
      cookie: cookies.slice(0, 8).join('; '),
    });
    beginState(pageRequest(request));
    expect(set).toHaveLength(1);
  });

  test('is the same at each page, and of no other attempt', () => {
    const [one, two] = [newAttempt(), newAttempt()];
    const cookie = cookieOf(one.sealed);
    const { request } = requestFor(one.sealed, { cookie });
    expect(beginState(pageRequest(request))).toEqual(readState(request, one.id));
    const moved = cookie.replace(one.id, two.id);
    const other = pageRequest(requestFor(two.sealed, { cookie: moved }).request);
    expect(() => requireState(other)).toThrow('other-browser');
    expect(beginState(other).secret).not.toBe(readState(request, one.id)?.secret);
  });
});

test('a form needs the token of this attempt in this browser', () => {
  const [one, two] = [newAttempt(), newAttempt()];
  const [page, other] = [one, two].map(({ sealed }) => pageRequest(requestFor(sealed).request));
  if (page === undefined || other === undefined) throw new Error('there are two');
  const [state, foreign] = [{ secret: 'of one' }, { secret: 'of the other' }];
  const check = (form: string) => () => requireForm(page, state, new URLSearchParams(form));
  expect(check(`form=${describeForm(page, state).form}`)).not.toThrow();
  for (const form of [
    '',
    'form=',
    `form=${describeForm(page, foreign).form}`,
    `form=${describeForm(other, state).form}`,
    `Form=${describeForm(page, state).form}`,
    `form=x&form=${describeForm(page, state).form}`,
  ])
    expect(check(form)).toThrow('outdated');
});

test('a form after a proof has a token that the browser did not have before', () => {
  const { sealed } = newAttempt();
  const proved = (key: string) => pageRequest(requestFor(`${sealed}.${key}`).request);
  const [own, foreign] = [randomText(keyLength), randomText(keyLength)];
  const state = { secret: 's', login: 'l' };
  const form = new URLSearchParams({ form: describeForm(proved(own), state).form });
  expect(() => requireForm(proved(own), state, form)).not.toThrow();
  for (const [page, other] of [
    [proved(own), { secret: 's' }],
    [proved(own), { secret: 's', login: 'of another proof' }],
    [proved(foreign), state],
  ] as const)
    expect(() => requireForm(page, other, form)).toThrow('outdated');
});

test('a text that is no attempt has no page', () => {
  const { sealed } = newAttempt();
  for (const text of ['', 'confirm', `${sealed}=`, sealed.slice(1)])
    expect(() => pageRequest(requestFor(text).request)).toThrow('expired');
});

test('an address has a number of pages, and takes none of another one', () => {
  const few = pageLimit(2);
  const open = (address: string) =>
    pageRequest(requestFor(newAttempt().sealed, { address }, few).request).address;
  for (const address of ['192.0.2.1', '192.0.2.1', '192.0.2.2'])
    expect(open(address)).toBe(address);
  expect(() => open('192.0.2.1')).toThrow('too many pages for this address');
  expect(open('192.0.2.2')).toBe('192.0.2.2');
});

test('a browser at another address is told so, but not one in the same network of IPv6', () => {
  const isOther = (from: string, at: string) => {
    const { request } = requestFor(newAttempt(from).sealed, { address: at });
    return describeAttempt(pageRequest(request)).isOtherAddress;
  };
  expect(isOther('192.0.2.1', '192.0.2.1')).toBe(false);
  expect(isOther('192.0.2.1', '192.0.2.2')).toBe(true);
  expect(isOther('2001:db8::1', '2001:db8::2')).toBe(false);
  expect(isOther('2001:db8::1', '2001:db8:1::1')).toBe(true);
});
