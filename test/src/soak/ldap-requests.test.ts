import { expect, test } from 'vitest';
import { createMessageReader } from './ldap-requests.ts';

/** An element of X.690 with a short length. */
const element = (tag: number, ...parts: readonly (Buffer | number)[]): Buffer => {
  const content = Buffer.concat(
    parts.map((part) => (Buffer.isBuffer(part) ? part : Buffer.of(part))),
  );
  return Buffer.concat([Buffer.of(tag, content.length), content]);
};
const dn = 'uid=jane,dc=example,dc=com';
const request = element(
  0x30,
  element(0x02, 0x07),
  element(0x60, element(0x02, 3), element(0x04, Buffer.from(dn)), element(0x80, Buffer.from('x'))),
);
const refusal = element(
  0x30,
  element(0x02, 0x07),
  element(0x61, element(0x0a, 49), element(0x04), element(0x04)),
);
const search = element(0x30, element(0x02, 0x08), element(0x63, element(0x04)));

test('reads binds and their results, however the bytes arrive', () => {
  const read = createMessageReader();
  const stream = Buffer.concat([request, search, refusal]);
  const messages = [...stream].flatMap((byte) => read(Buffer.of(byte)));
  expect(messages.map(({ bind }) => bind)).toEqual([
    { kind: 'request', id: 7, dn, password: 'x' },
    undefined,
    { kind: 'response', id: 7, code: 49 },
  ]);
  expect(Buffer.concat(messages.map(({ bytes }) => bytes))).toEqual(stream);
});

test('reads a message with a long length', () => {
  const content = request.subarray(2);
  const long = Buffer.concat([Buffer.of(0x30, 0x82, 0, content.length), content]);
  expect(createMessageReader()(long)).toMatchObject([{ bind: { dn } }]);
});
