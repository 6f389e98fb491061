import { describe, expect, test } from 'vitest';
import type { Session } from '../engine/sessions/session-text.ts';
import {
  type AnsweredRequest,
  createLoginLog,
  createRequestLogs,
  findOutcome,
  loginActions,
  reportRequest,
} from './login-facts.ts';

const token = 'sps_secret';
const session = {
  authenticator: 'corp',
  name: 'corp:alice',
  cluster: 'prod',
  device: 'laptop',
} as Session;
const login: AnsweredRequest = {
  at: 0,
  seconds: 0.1,
  action: 'login',
  outcome: 'ok',
  address: '192.0.2.1',
  session,
  token,
};

function createLogWithClock() {
  let now = 0;
  const lines: [level: string, fields: Record<string, unknown>, message: string][] = [];
  const at = (level: string) => (fields: object, message: string) =>
    lines.push([level, { ...fields }, message]);
  const logger = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
  const onLogin = createLoginLog(logger, () => now);
  return {
    lines,
    log: (changed: Partial<AnsweredRequest> = {}) =>
      onLogin(reportRequest({ ...login, ...changed })),
    logOf: createRequestLogs(logger, () => now),
    later: (milliseconds: number) => {
      now += milliseconds;
    },
  };
}

describe('the log of the login server', () => {
  test.each([
    { what: 'a login', changed: {}, level: 'info' },
    {
      what: 'a refused login',
      changed: { outcome: 'refused', session: undefined, token: undefined },
      level: 'info',
    },
    { what: 'a logout', changed: { action: 'logout', ended: 1 }, level: 'info' },
    { what: 'a look at a session', changed: { action: 'session' }, level: 'debug' },
    { what: 'a malformed login', changed: { outcome: 'invalid' }, level: 'debug' },
    {
      what: 'a token that is not a session',
      changed: { action: 'session', outcome: 'refused' },
      level: 'debug',
    },
    {
      what: 'a password on the page',
      changed: { action: 'page-login', outcome: 'refused' },
      level: 'info',
    },
    { what: 'an ID token', changed: { action: 'provider-login' }, level: 'info' },
    { what: 'a confirmation', changed: { action: 'confirm' }, level: 'info' },
    { what: 'a code', changed: { action: 'redeem' }, level: 'info' },
    { what: 'a login that begins', changed: { action: 'begin' }, level: 'debug' },
    { what: 'a page', changed: { action: 'page' }, level: 'debug' },
    { what: 'a way to a provider', changed: { action: 'provider' }, level: 'debug' },
  ] as const)('has $what', ({ changed, level }) => {
    const { log, lines } = createLogWithClock();
    log(changed);
    expect(lines).toMatchObject([[level, { address: '192.0.2.1' }, 'login request']]);
  });

  test('names the session by its digest, and has no token', () => {
    const { log, lines } = createLogWithClock();
    log();
    const fields = {
      username: 'corp:alice',
      session: expect.stringMatching(/^[0-9a-f]{12}$/),
      device: 'laptop',
    };
    expect(lines[0]?.[1]).toMatchObject(fields);
    expect(JSON.stringify(lines)).not.toContain(token);
  });

  test('says at which provider its user logged in, how and when', () => {
    const { log, lines } = createLogWithClock();
    const known = { name: 'okta', issuer: 'https://idp.example.com', clientId: 'sallyport' };
    const provider = { ...known, acr: 'phr', amr: ['pwd', 'otp'], authTime: 1_000 };
    log({ action: 'redeem', session: { ...session, provider } });
    log({
      action: 'provider-login',
      session: undefined,
      provider: 'okta',
      username: 'oidc:jane',
      cluster: 'prod',
    });
    const authTime = '1970-01-01T00:00:01.000Z';
    expect(lines.map(([, fields]) => fields)).toMatchObject([
      { provider: 'okta', acr: 'phr', amr: ['pwd', 'otp'], authTime, username: 'corp:alice' },
      { provider: 'okta', acr: undefined, username: 'oidc:jane', cluster: 'prod' },
    ]);
  });

  test('warns of requests that are not answered at most every 10 s', () => {
    const { log, lines, later } = createLogWithClock();
    for (let count = 0; count < 3; count++) log({ outcome: 'unavailable' });
    log({ outcome: 'limited' });
    later(10_001);
    log({ outcome: 'unavailable' });
    expect(
      lines.map(([level, { outcome, unloggedSince }]) => [level, outcome, unloggedSince]),
    ).toEqual([
      ['warn', 'unavailable', undefined],
      ['debug', 'unavailable', undefined],
      ['debug', 'unavailable', undefined],
      ['warn', 'limited', undefined],
      ['warn', 'unavailable', 2],
    ]);
  });
});

test('a login that failed at a provider is refused, whatever the status of its page', () => {
  const outcome = (status: number, reason?: string) => findOutcome(status, false, reason);
  expect(outcome(400, 'provider-failed')).toBe('refused');
  expect([outcome(400), outcome(403, 'other-browser')]).toEqual(['invalid', 'invalid']);
});

test('the report says which requests decide about a login, and which of them prove who someone is', () => {
  const reports = loginActions.map((action) => reportRequest({ ...login, action }));
  const actionsWhere = (property: 'isDecision' | 'isProof') =>
    reports.filter((report) => report[property]).map(({ action }) => action);
  expect(actionsWhere('isProof')).toEqual(['login', 'page-login', 'provider-login']);
  expect(actionsWhere('isDecision')).toEqual([
    ...['login', 'page-login', 'provider-login', 'page-factor', 'confirm', 'redeem'],
    ...['begin-factor', 'add-factor', 'change-factors'],
  ]);
});

describe('what is logged during a request', () => {
  test('is a warning once in 10 s for each authenticator, and never of a client that has gone', () => {
    const { logOf, lines, later } = createLogWithClock();
    const [here, gone] = [logOf(() => false), logOf(() => true)];
    const warn = (log: typeof here, authenticator: string) =>
      log.warn({ authenticator }, 'could not check');
    warn(gone, 'corp');
    for (const name of ['corp', 'corp', 'lab']) warn(here, name);
    later(10_000);
    warn(here, 'corp');
    expect(lines).toEqual([
      ['debug', { authenticator: 'corp' }, 'could not check'],
      ['warn', { authenticator: 'corp' }, 'could not check'],
      ['debug', { authenticator: 'corp' }, 'could not check'],
      ['warn', { authenticator: 'lab' }, 'could not check'],
      ['warn', { authenticator: 'corp', unloggedSince: 1 }, 'could not check'],
    ]);
  });
});
