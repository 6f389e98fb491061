import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeMessage } from './message.ts';
import { WireError } from './server-error.ts';
import { ber, berInteger } from './testing/ber.ts';
import {
  bindResponse,
  control,
  disconnectionNotice,
  extendedResponse,
  ldapMessage,
  passwordPolicyControl,
  resultMessage,
  searchDone,
  searchEntry,
  searchReference,
} from './testing/ldap-answers.ts';

const decode = (frame: Buffer) => decodeMessage(frame, { elements: 1000 });

const policyOid = '1.3.6.1.4.1.42.2.27.8.5.1';

describe('rule 8: results are read whole', () => {
  test.each([0, 9, 35, 49, 127, 128, 4096, 16_654, 2_147_483_647, -1])(
    'with the code %i',
    (code) => {
      const fields = {
        id: 3,
        code,
        matchedDn: 'dc=x',
        diagnosticMessage: '80090308: data 52e, v4563 é',
      };
      const result = { id: 3, code, diagnosticMessage: '80090308: data 52e, v4563 é' };
      expect(decode(bindResponse(fields))).toEqual({
        kind: 'bind',
        ...result,
        passwordMustChange: false,
      });
      expect(decode(searchDone(fields))).toEqual({ kind: 'done', ...result });
      expect(decode(extendedResponse({ ...fields, name: '1.2' }))).toEqual({
        kind: 'extended',
        ...result,
        name: '1.2',
      });
    },
  );

  test.each([0, 1, 2, 8, 9, 100])(
    'with the password policy error %i, whatever the code',
    (error) => {
      for (const code of [0, 49]) {
        const controls = [control('1.2.3'), passwordPolicyControl({ error, secondsToExpiry: 5 })];
        expect(decode(bindResponse({ id: 3, code, controls }))).toMatchObject({
          code,
          passwordPolicyError: error,
        });
      }
    },
  );

  test.each([
    { what: 'nothing', policy: passwordPolicyControl({}) },
    { what: 'a warning of expiry', policy: passwordPolicyControl({ secondsToExpiry: 0 }) },
    { what: 'a warning of grace logins', policy: passwordPolicyControl({ graceLogins: 2 }) },
  ])('with a password policy control that says $what', ({ policy }) => {
    expect(decode(bindResponse({ id: 3, controls: [policy] }))).not.toHaveProperty(
      'passwordPolicyError',
    );
  });

  test.each([
    { what: 'no value', policy: control(policyOid) },
    { what: 'an empty value', policy: control(policyOid, Buffer.alloc(0)) },
    { what: 'garbage', policy: control(policyOid, Buffer.from('garbage')) },
    { what: 'another type', policy: control(policyOid, ber(0x04, 'x')) },
    { what: 'an error without a byte', policy: control(policyOid, ber(0x30, ber(0x81))) },
    { what: 'an unknown part', policy: control(policyOid, ber(0x30, ber(0x82))) },
    {
      what: 'two errors',
      policy: control(policyOid, ber(0x30, berInteger(0, 0x81), berInteger(1, 0x81))),
    },
    {
      what: 'something behind it',
      policy: control(policyOid, Buffer.concat([ber(0x30), ber(0x30)])),
    },
  ])('with a password policy control that has $what', ({ policy }) => {
    expect(decode(bindResponse({ id: 3, controls: [policy] }))).toMatchObject({
      passwordPolicyError: 'unreadable',
    });
  });

  test('with two password policy controls, which may contradict each other', () => {
    const controls = [passwordPolicyControl({}), passwordPolicyControl({ error: 2 })];
    expect(decode(bindResponse({ id: 3, controls }))).toMatchObject({
      passwordPolicyError: 'unreadable',
    });
  });

  test('with a criticality in the control', () => {
    const value = ber(0x04, ber(0x30, berInteger(1, 0x81)));
    const policy = ber(0x30, ber(0x04, policyOid), ber(0x01, '\0'), value);
    expect(decode(bindResponse({ id: 3, controls: [policy] }))).toMatchObject({
      passwordPolicyError: 1,
    });
  });

  test('with the control of 389-DS for a password that must be changed, with and without a value', () => {
    for (const value of [undefined, Buffer.from('0')]) {
      const controls = [control('2.16.840.1.113730.3.4.4', value)];
      expect(decode(bindResponse({ id: 3, controls }))).toMatchObject({ passwordMustChange: true });
    }
  });

  test('with referrals of any length', () => {
    const more = [
      ber(
        0xa3,
        ...Array.from({ length: 9 }, (_, index) => ber(0x04, `ldap://other-${index}/dc=x`)),
      ),
    ];
    const controls = [passwordPolicyControl({ error: 1 })];
    expect(decode(bindResponse({ id: 3, code: 10, more, controls }))).toMatchObject({
      code: 10,
      passwordPolicyError: 1,
    });
    expect(decode(searchDone({ id: 3, code: 10, more }))).toMatchObject({ kind: 'done', code: 10 });
  });
});

describe('rule 10: DNs are what the server sent', () => {
  test.each([
    ...[
      'cn=Back\\5Cslash',
      'cn=al\\5C69ce',
      'CN=R\\+D',
      '\\20lead',
      'trail\\20',
      'cn;lang-en=x',
      'cn=a"b',
    ],
    ...['<SID=..>', 'not a dn', 'cn=山 ', '\ufeffcn=x', ''],
  ])('such as %j', (dn) => {
    expect(decode(searchEntry({ id: 2, dn }))).toEqual({
      kind: 'entry',
      id: 2,
      entry: { dn, attributes: new Map() },
    });
  });

  test('or undefined when they are no UTF-8', () => {
    expect(decode(searchEntry({ id: 2, dn: Buffer.from('636e3dff', 'hex') }))).toMatchObject({
      entry: { dn: undefined },
    });
  });
});

describe('rule 14: entries have the bytes of their attributes', () => {
  test('also those that are no UTF-8, under lower-case names', () => {
    const value = Buffer.from('00ff80fe5c2a', 'hex');
    const attributes = {
      objectGUID: [value],
      'userCertificate;binary': [value, 'é', ''],
      empty: [],
    };
    expect(decode(searchEntry({ id: 2, dn: 'x', attributes }))).toMatchObject({
      entry: {
        attributes: new Map([
          ['objectguid', [value]],
          ['usercertificate;binary', [value, Buffer.from('é'), Buffer.alloc(0)]],
        ]),
      },
    });
  });

  test('of all parts of one attribute', () => {
    const attributes = { member: ['a'], MEMBER: ['b'] };
    expect(decode(searchEntry({ id: 2, dn: 'x', attributes }))).toMatchObject({
      entry: { attributes: new Map([['member', [Buffer.from('a'), Buffer.from('b')]]]) },
    });
  });

  test('and attributes named as parts of an object are like others', () => {
    const attributes = { constructor: ['a'], ['__proto__']: ['b'] };
    const message = decode(searchEntry({ id: 2, dn: 'x', attributes }));
    expect(message).toMatchObject({ kind: 'entry' });
    expect(message.kind === 'entry' && [...message.entry.attributes.keys()]).toEqual([
      'constructor',
      '__proto__',
    ]);
  });

  test('and references are distinguished', () => {
    expect(decode(searchReference(2, 'ldap://other/dc=x??sub'))).toEqual({
      kind: 'reference',
      urls: ['ldap://other/dc=x??sub'],
      id: 2,
    });
  });
});

describe('messages', () => {
  test.each([0x67, 0x69, 0x6b, 0x79, 0x60, 0x42])('of the type %i are none of ours', (tag) => {
    expect(decode(resultMessage(tag, { id: 4 }))).toEqual({ kind: 'other', id: 4, tag });
  });

  test('with the id 0 may hold more than they should', () => {
    const spoiled = ber(
      0x30,
      disconnectionNotice(52).subarray(2),
      ber(0x8a, '1.2'),
      ber(0x8a, '1.3'),
    );
    expect(decode(spoiled)).toMatchObject({
      kind: 'extended',
      id: 0,
      code: 52,
      name: '1.3.6.1.4.1.1466.20036',
    });
  });

  const success = [berInteger(0, 0x0a), ber(0x04), ber(0x04)];

  test.each([
    { what: 'nothing', frame: ber(0x30) },
    { what: 'no operation', frame: ber(0x30, berInteger(2)) },
    { what: 'no id', frame: ber(0x30, ber(0x61, ...success)) },
    { what: 'an id without a byte', frame: ber(0x30, ber(0x02), ber(0x61, ...success)) },
    {
      what: 'an id of five bytes',
      frame: ber(0x30, ber(0x02, '\0\0\0\0\x02'), ber(0x61, ...success)),
    },
    {
      what: 'a code without a byte, which is no success',
      frame: ldapMessage(2, ber(0x61, ber(0x0a), ber(0x04), ber(0x04))),
    },
    {
      what: 'a code of five bytes',
      frame: ldapMessage(2, ber(0x61, ber(0x0a, '\x01\0\0\0\0'), ber(0x04), ber(0x04))),
    },
    {
      what: 'a code of another type',
      frame: ldapMessage(2, ber(0x61, berInteger(0), ber(0x04), ber(0x04))),
    },
    { what: 'no code', frame: ldapMessage(2, ber(0x61)) },
    { what: 'only a code', frame: ldapMessage(2, ber(0x61, berInteger(0, 0x0a))) },
    {
      what: 'no diagnostic message',
      frame: ldapMessage(2, ber(0x65, berInteger(0, 0x0a), ber(0x04))),
    },
    {
      what: 'two operations',
      frame: ber(0x30, berInteger(2), ber(0x61, ...success), ber(0x61, ...success)),
    },
    {
      what: 'two lists of controls',
      frame: ber(0x30, berInteger(2), ber(0x61, ...success), ber(0xa0), ber(0xa0)),
    },
    { what: 'a control that is none', frame: bindResponse({ id: 2, controls: [ber(0x04, 'x')] }) },
    { what: 'a control without an OID', frame: bindResponse({ id: 2, controls: [ber(0x30)] }) },
    { what: 'a result longer than its message', frame: Buffer.from('300702010261050a0100', 'hex') },
    { what: 'an entry without a list', frame: ldapMessage(2, ber(0x64, ber(0x04, 'x'))) },
    {
      what: 'an attribute without values',
      frame: ldapMessage(2, ber(0x64, ber(0x04, 'x'), ber(0x30, ber(0x30, ber(0x04, 'cn'))))),
    },
    {
      what: 'a value of another type',
      frame: ldapMessage(
        2,
        ber(0x64, ber(0x04), ber(0x30, ber(0x30, ber(0x04, 'cn'), ber(0x31, berInteger(1))))),
      ),
    },
    { what: 'another tag outside', frame: ber(0x31, berInteger(2), ber(0x61, ...success)) },
  ])('are refused that hold $what', ({ frame }) => {
    expect(() => decode(frame)).toThrow(
      expect.objectContaining({ name: 'WireError', kind: 'protocol' }),
    );
  });

  test('are refused that hold more than the budget', () => {
    const attributes = { member: Array.from({ length: 1000 }, () => '') };
    expect(() => decode(searchEntry({ id: 2, dn: 'x', attributes }))).toThrow(
      expect.objectContaining({ kind: 'too-large' }),
    );
  });

  test('of changed bytes give a message or a WireError, and nothing else', () => {
    const samples = [
      bindResponse({
        id: 3,
        code: 49,
        controls: [passwordPolicyControl({ error: 1, secondsToExpiry: 3 })],
      }),
      searchEntry({ id: 3, dn: 'cn=x', attributes: { cn: ['x', 'y'], mail: ['z'] } }),
      disconnectionNotice(52, 'shutting down'),
    ];
    const changes = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), {
      minLength: 1,
      maxLength: 4,
    });
    fc.assert(
      fc.property(fc.constantFrom(...samples), changes, (sample, list) => {
        const frame = Buffer.from(sample);
        for (const [place, byte] of list) {
          frame[place % frame.length] = byte;
        }
        try {
          decode(frame);
        } catch (error) {
          expect(error).toBeInstanceOf(WireError);
        }
      }),
      { numRuns: 1000 },
    );
  });
});
