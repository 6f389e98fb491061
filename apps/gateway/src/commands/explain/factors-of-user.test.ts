import { expect, test } from 'vitest';
import type { FactorRecord } from '../../login/factors/factor-record.ts';
import { maxWrongCodes } from '../../login/factors/second-factor.ts';
import { createTestContext } from '../../testing/command-context.ts';
import type { SeenToken } from '../issuer.ts';
import {
  type FactorsOfUser,
  factorLines,
  factorsJson,
  lackingLines,
  withKnownState,
} from './factors-of-user.ts';

const user = { authenticator: 'corp', username: 'jane', name: 'corp:jane' };
const app = { id: 'a', name: 'phone', addedAt: 1, secret: 'top secret', lastStep: 7 };
const record: FactorRecord = {
  id: 'r',
  user,
  totp: [app],
  passkeys: [],
  recovery: ['digest', 'other digest'],
  version: 0,
  wrongCodes: 0,
  wrongSince: Date.now(),
};
const invitation = {
  digest: 'digest of a code',
  until: Date.UTC(2100, 0, 31),
  at: 0,
  by: 'ada',
  reason: 'new phone',
};

const context = createTestContext();

function linesOf(one: {
  readonly isRequired?: boolean;
  readonly record?: FactorRecord;
  readonly isForeign?: boolean;
}) {
  const { isRequired = true, isForeign = false, record: its } = one;
  const value = [{ authenticator: 'corp', isRequired, record: its, isForeign }];
  return factorLines(context, 'corp:jane', { value }, false).join('\n');
}

const begin = 'second factor with corp: ';
const command = (verb: string) => `sallyport factor ${verb} --user corp:jane`;
const empty = { ...record, totp: [], recovery: [] };

test.each<{ name: string; factors: Parameters<typeof linesOf>[0]; expected: string }>([
  {
    name: 'a factor that is required',
    factors: { record },
    expected: 'required: 1 second factor (totp phone), 2 recovery codes left',
  },
  {
    name: 'a factor of a user who need not have one',
    factors: { record, isRequired: false },
    expected:
      'asked for, since the user has one: 1 second factor (totp phone), 2 recovery codes left',
  },
  {
    name: 'none, and none is required',
    factors: { isRequired: false },
    expected: 'none, and not required',
  },
  {
    name: 'none, and one is required',
    factors: {},
    expected: `required, and the user has none, so they can't log in. To invite them: ${command('invite')}`,
  },
  {
    name: 'an open invitation',
    factors: { record: { ...empty, invitation } },
    expected: `required, and the user has none, so they can't log in. To invite them: ${command('invite')}\nopen invitation to add a second factor until 2100-01-31T00:00:00Z, by ada: new phone`,
  },
  {
    name: 'an invitation that has expired',
    factors: { record: { ...record, invitation: { ...invitation, until: 1 } } },
    expected: 'required: 1 second factor (totp phone), 2 recovery codes left',
  },
  {
    name: 'too many wrong codes',
    factors: { record: { ...record, wrongCodes: maxWrongCodes } },
    expected: `required: 1 second factor (totp phone), 2 recovery codes left\nno code is accepted: too many were wrong in the last 30d. If it was the user: ${command('reset')}`,
  },
  {
    name: 'a foreign record',
    factors: { isForeign: true },
    expected: `its record was not written for this user by a gateway with these sealing keys, so the user is refused. To remove it: ${command('reset')}`,
  },
])('explain --user shows $name', ({ factors, expected }) => {
  expect(linesOf(factors)).toBe(begin + expected);
});

test('what could not be read is not known, and a config without second factors has no line', () => {
  expect(factorLines(context, 'corp:jane', { problem: 'Redis is down' }, false)).toEqual([
    'second factor: not known, since Redis is down',
  ]);
  expect([
    factorLines(context, 'corp:jane', undefined, false),
    factorsJson(context, undefined),
  ]).toEqual([[], []]);
  expect(factorsJson(context, { problem: 'Redis is down' })).toBeNull();
});

test('the JSON has nothing by which a factor or an invitation could be used', () => {
  const factors: FactorsOfUser = {
    value: [
      {
        authenticator: 'corp',
        isRequired: true,
        record: { ...record, invitation },
        isForeign: false,
      },
    ],
  };
  const json = JSON.stringify(factorsJson(context, factors));
  expect(JSON.parse(json)).toEqual([
    {
      authenticator: 'corp',
      required: true,
      foreignRecord: false,
      record: {
        user: 'corp:jane',
        authenticator: 'corp',
        factors: [
          {
            id: 'a',
            method: 'totp',
            name: 'phone',
            addedAt: '1970-01-01T00:00:00.001Z',
            lastUsedAt: null,
          },
        ],
        recoveryCodes: 2,
        codesLocked: false,
        invitation: {
          at: '1970-01-01T00:00:00.000Z',
          until: '2100-01-31T00:00:00.000Z',
          by: 'ada',
          reason: 'new phone',
        },
      },
    },
  ]);
  expect(json).not.toMatch(/secret|digest/);
});

test('a session without the factor that is required now is said to be refused', () => {
  const of = (isRequired: boolean): FactorsOfUser => ({
    value: [{ authenticator: 'corp', isRequired, record, isForeign: false }],
  });
  const session = { ...({} as NonNullable<SeenToken['session']>), authenticator: 'corp' };
  const passwordOnly = { session };
  const withFactor = { session: { ...session, amr: ['pwd', 'otp', 'mfa'] } };
  const ofOther = { session: { ...session, authenticator: 'lab' } };
  const provider = { name: 'okta' } as NonNullable<(typeof session)['provider']>;
  const all = [passwordOnly, withFactor, ofOther, { session: { ...session, provider } }, {}];
  expect(lackingLines(of(true), all)).toEqual([
    '1 session was made without the second factor that is required now, so every review refuses it',
  ]);
  expect(lackingLines(of(false), all)).toEqual([]);
  expect(lackingLines({ problem: 'down' }, all)).toEqual([]);
});

test.each([
  { name: 'is required', factor: { isRequired: true }, state: 'lacks a second factor' },
  { name: 'is not required', factor: { isRequired: false }, state: 'good' },
  {
    name: 'may be required by groups that are not known',
    factor: { isRequired: false, isGuess: true as const },
    state: 'good, unless a second factor is required',
  },
])('the state of a session whose user has no second factor, where one $name', (row) => {
  const { factor, state } = row;
  const session = { ...({} as NonNullable<SeenToken['session']>), authenticator: 'corp' };
  const unsure = 'good, unless a second factor is required';
  const token = { ...({} as SeenToken), session, state: unsure } as const;
  const value = [{ authenticator: 'corp', record, isForeign: false, ...factor }];
  expect(withKnownState({ value }, token).state).toBe(state);
  expect(withKnownState({ problem: 'down' }, token).state).toBe(unsure);
  expect(withKnownState({ value }, { ...token, state: 'expired' }).state).toBe('expired');
});
