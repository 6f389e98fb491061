import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { secretFinder } from './leaks.ts';

// Every spelling differs from the others, its halves too: "???" has a slash in base64 wherever it is.
const secret = `ä"${[...randomUUID()].join('"ÿ')}???`;
const { find, redact } = secretFinder([{ name: 'the password', value: secret }]);

const encoded: readonly [string, string][] = [
  ['as it is', secret],
  ['its first half', secret.slice(0, Math.ceil(secret.length / 2))],
  ['its second half', secret.slice(-Math.ceil(secret.length / 2))],
  ['base64', Buffer.from(secret).toString('base64')],
  ['base64url', Buffer.from(secret).toString('base64url')],
  ['hex', Buffer.from(secret).toString('hex')],
  ['hex in capitals', Buffer.from(secret).toString('hex').toUpperCase()],
  ['URL-encoded', encodeURIComponent(secret)],
  ['JSON-escaped', JSON.stringify(secret)],
];

describe('a secret is found', () => {
  test.each(encoded)('%s', (_name, text) => {
    expect(find(`before ${text} after`)).toEqual(['the password']);
  });

  test.each<{ name: string; make: () => unknown }>([
    { name: 'in the message of an error', make: () => new Error(secret) },
    {
      name: 'in the cause of a cause',
      make: () => new Error('a', { cause: new Error('b', { cause: new Error(secret) }) }),
    },
    {
      name: 'in an own property of an error',
      make: () => Object.assign(new Error('a'), { request: { headers: [secret] } }),
    },
    {
      name: 'in a property that does not show',
      make: () => Object.defineProperty({}, 'hidden', { value: secret }),
    },
    {
      name: 'in an error of many',
      make: () => new AggregateError([new Error('a'), new Error(secret)]),
    },
    {
      name: 'in a stack',
      make: () => Object.assign(new Error('a'), { stack: `Error: ${secret}` }),
    },
    { name: 'in bytes', make: () => ({ body: Buffer.from(secret) }) },
    { name: 'in a map, as a key', make: () => new Map([[secret, 1]]) },
    { name: 'in a set', make: () => new Set([secret]) },
    { name: 'as the name of a property', make: () => ({ [secret]: true }) },
    {
      name: 'behind a property that cannot be read',
      make: () => ({
        get broken() {
          throw new Error('no');
        },
        secret,
      }),
    },
  ])('$name', ({ make }) => {
    expect(find(make())).toEqual(['the password']);
  });

  test('with any text around it', () => {
    fc.assert(
      fc.property(
        fc.string(),
        fc.string(),
        fc.constantFrom(...encoded),
        (before, after, [, text]) => {
          expect(find([before + text + after])).toEqual(['the password']);
        },
      ),
    );
  });
});

test('nothing is found where no secret is, and what is a thousand circles ends soon', () => {
  const circle: Record<string, unknown> = { text: `another ${randomUUID()}` };
  for (let index = 0; index < 1000; index += 1) circle[`self${index}`] = circle;
  expect(find(circle)).toEqual([]);
});

test('redacted text has the name of the secret in its place', () => {
  for (const [, text] of encoded) {
    expect(redact(`before ${text} after`)).toContain('[the password]');
    expect(find(redact(`before ${text} after`))).toEqual([]);
  }
});
