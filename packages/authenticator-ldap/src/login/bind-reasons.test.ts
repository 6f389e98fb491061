import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { BindResult } from '../connection/types.ts';
import { classifyBind } from './bind-reasons.ts';

const answer = (code: number, more: Partial<BindResult> = {}): BindResult => ({
  code,
  diagnosticMessage: '',
  passwordMustChange: false,
  ...more,
});
const windows = (data: string) =>
  `80090308: LdapErr: DSID-0C090447, comment: AcceptSecurityContext error, data ${data}, v3839`;

describe('what the bind of a user says', () => {
  test('code 0 without complaints authenticates', () => {
    expect(classifyBind(answer(0))).toEqual({ kind: 'authenticated', attempt: 'accepted' });
  });

  test.each([
    { data: '52e', reason: 'invalid-credentials', attempt: 'refused' },
    { data: '525', reason: 'invalid-credentials', attempt: 'unavailable' },
    { data: '530', reason: 'disabled', attempt: 'accepted' },
    { data: '531', reason: 'disabled', attempt: 'accepted' },
    { data: '532', reason: 'password-expired', attempt: 'accepted' },
    { data: '533', reason: 'disabled', attempt: 'accepted' },
    { data: '701', reason: 'expired', attempt: 'accepted' },
    { data: '773', reason: 'password-expired', attempt: 'accepted' },
    { data: '775', reason: 'locked', attempt: 'unavailable' },
    { data: '52f', reason: 'invalid-credentials', attempt: 'refused' },
    { data: '5330', reason: 'invalid-credentials', attempt: 'refused' },
    { data: '0', reason: 'invalid-credentials', attempt: 'refused' },
  ])(
    "49 with Active Directory's data $data is $reason, and the password was $attempt",
    ({ data, reason, attempt }) => {
      const expected = { kind: 'rejected', reason, attempt };
      expect(classifyBind(answer(49, { diagnosticMessage: windows(data) }))).toEqual(expected);
      expect(classifyBind(answer(49, { diagnosticMessage: windows(data).toUpperCase() }))).toEqual(
        expected,
      );
    },
  );

  test.each([
    ...[
      'data 533',
      'AcceptSecurityContext error, data533',
      'AcceptSecurityContext error, data  533',
    ],
    ...['AcceptSecurityContext error, data 533g', 'AcceptSecurityContext error, data 0x533'],
    ...['NotAcceptSecurityContext error, data 533', 'Invalid credentials; error, data 533'],
  ])('a text that is only like it gives no reason: %s', (diagnosticMessage) => {
    expect(classifyBind(answer(49, { diagnosticMessage }))).toMatchObject({
      reason: 'invalid-credentials',
    });
  });

  test("Active Directory's text is read with code 49 only", () => {
    const diagnosticMessage = windows('533');
    expect(classifyBind(answer(0, { diagnosticMessage }))).toMatchObject({ kind: 'authenticated' });
    expect(classifyBind(answer(19, { diagnosticMessage }))).toMatchObject({ reason: 'locked' });
    expect(classifyBind(answer(1, { diagnosticMessage }))).toMatchObject({ kind: 'unchecked' });
  });

  test.each([
    { passwordPolicyError: 0, reason: 'password-expired', attempt: 'accepted' },
    { passwordPolicyError: 1, reason: 'locked', attempt: 'unavailable' },
    { passwordPolicyError: 2, reason: 'password-expired', attempt: 'accepted' },
  ])(
    'password policy error $passwordPolicyError is $reason with each code that can carry it, also with 0',
    ({ passwordPolicyError, reason, attempt }) => {
      for (const code of [0, 19, 49]) {
        expect(classifyBind(answer(code, { passwordPolicyError }))).toEqual({
          kind: 'rejected',
          reason,
          attempt,
        });
      }
    },
  );

  test.each([3, 4, 5, 6, 7, 8, 9, 1000, -1, 'unreadable'] as const)(
    'password policy error %s leaves a success unchecked, and a refusal a refusal',
    (passwordPolicyError) => {
      for (const passwordMustChange of [true, false]) {
        expect(classifyBind(answer(0, { passwordPolicyError, passwordMustChange }))).toMatchObject({
          kind: 'unchecked',
          attempt: 'unavailable',
          error: { code: 'failed' },
        });
      }
      const of = (code: number) => classifyBind(answer(code, { passwordPolicyError }));
      expect(of(49)).toEqual({
        kind: 'rejected',
        reason: 'invalid-credentials',
        attempt: 'refused',
      });
      expect(of(19)).toEqual({ kind: 'rejected', reason: 'locked', attempt: 'unavailable' });
      expect(of(53)).toEqual({ kind: 'rejected', reason: 'disabled', attempt: 'unavailable' });
    },
  );

  test.each([0, 49])(
    "389-DS' control with code %i says that the password must be changed",
    (code) => {
      const expected = { kind: 'rejected', reason: 'password-expired', attempt: 'accepted' };
      expect(classifyBind(answer(code, { passwordMustChange: true }))).toEqual(expected);
    },
  );

  test('53 is disabled, whatever a password policy control says: 389-DS calls an inactive account locked there', () => {
    for (const passwordPolicyError of [0, 1, 2]) {
      const disabled = { kind: 'rejected', reason: 'disabled', attempt: 'unavailable' };
      expect(classifyBind(answer(53, { passwordPolicyError }))).toEqual(disabled);
    }
  });

  test.each([
    { code: 49, reason: 'invalid-credentials', attempt: 'refused' },
    { code: 19, reason: 'locked', attempt: 'unavailable' },
    { code: 53, reason: 'disabled', attempt: 'unavailable' },
  ])('a plain $code is $reason, and the password was $attempt', ({ code, reason, attempt }) => {
    expect(classifyBind(answer(code))).toEqual({ kind: 'rejected', reason, attempt });
  });

  test.each([
    { code: 8, error: 'unavailable', text: 'only over TLS' },
    { code: 13, error: 'unavailable', text: 'only over TLS' },
    { code: 51, error: 'unavailable', text: "can't check passwords now" },
    { code: 52, error: 'unavailable', text: "can't check passwords now" },
  ])('a plain $code is an outage: $error, $text', ({ code, error, text }) => {
    const message = expect.stringContaining(text);
    expect(classifyBind(answer(code))).toMatchObject({
      attempt: 'unavailable',
      error: { code: error, message },
    });
  });

  test.each([1, 2, 3, 7, 9, 10, 14, 32, 34, 48, 50, 80, 118, 4096, -1])(
    'a plain %i could not be checked',
    (code) => {
      const message = expect.stringContaining(`result code ${code},`);
      const expected = {
        kind: 'unchecked',
        attempt: 'unavailable',
        error: { code: 'failed', message },
      };
      expect(classifyBind(answer(code))).toMatchObject(expected);
    },
  );

  test('only a success without an error authenticates, in any combination, and no text of the server is shown', () => {
    const results = fc.record({
      code: fc.oneof(fc.constantFrom(0, 8, 19, 49, 53), fc.integer({ min: -1, max: 5000 })),
      diagnosticMessage: fc.oneof(
        fc.string({ minLength: 12 }),
        fc.constantFrom('52e', '533', '773').map(windows),
      ),
      passwordPolicyError: fc.option(
        fc.oneof(fc.integer({ min: 0, max: 9 }), fc.constant('unreadable' as const)),
        {
          nil: undefined,
        },
      ),
      passwordMustChange: fc.boolean(),
    });
    fc.assert(
      fc.property(results, ({ passwordPolicyError, ...rest }) => {
        const outcome = classifyBind({
          ...rest,
          ...(passwordPolicyError !== undefined && { passwordPolicyError }),
        });
        const clean =
          rest.code === 0 && passwordPolicyError === undefined && !rest.passwordMustChange;
        expect(outcome.kind === 'authenticated').toBe(clean);
        if (outcome.kind === 'unchecked')
          expect(outcome.error.message).not.toContain(rest.diagnosticMessage);
      }),
    );
  });
});
