import { expect, test } from 'vitest';
import type { z } from 'zod';
import { section } from '../values/values.ts';
import { settleTls, type TlsOptions, tlsShape } from './tls.ts';

/** Makes options of a backend of that name, which have TLS only. */
function schemaOf(word: string, spoken = true): z.ZodType<TlsOptions> {
  const use = { word, spoken, fix: 'use rediss://' };
  return section(tlsShape(word), '{}', (keys, complain) => settleTls(keys, use, complain));
}

function complaints(schema: z.ZodType, written: unknown): string[] {
  const { error } = schema.safeParse(written);
  return (error?.issues ?? []).map(({ path, message }) => `${path.join('.')}: ${message}`);
}

test.each(['ldap', 'redis'])('messages about TLS options have files and names of %s', (word) => {
  const schema = schemaOf(word);
  expect(complaints(schema, { caFile: '', serverName: 'a:1' })).toEqual([
    `caFile: must not be empty: write tls/${word}-ca.crt`,
    `serverName: "a:1" is not a host name: write ${word}.example.com`,
  ]);
  expect(complaints(schema, { serverName: '' })).toEqual([
    `serverName: must not be empty: write ${word}.example.com`,
  ]);
  expect(complaints(schema, { certFile: '', keyFile: '' })).toEqual([
    `certFile: must not be empty: write tls/${word}-client.crt`,
    `keyFile: must not be empty: write tls/${word}-client.key`,
  ]);
  expect(complaints(schema, { certFile: 'a' })).toEqual([
    `keyFile: must name the key of certFile: write keyFile: tls/${word}-client.key`,
  ]);
  expect(complaints(schema, { keyFile: 'a' })).toEqual([
    `certFile: must name the certificate of keyFile: write certFile: tls/${word}-client.crt`,
  ]);
});

test('messages about options of TLS that is not used say how to enable it', () => {
  const schema = schemaOf('redis', false);
  expect(schema.parse({})).toEqual({ minVersion: 'TLSv1.2' });
  const fix = 'does nothing: no server is reached with TLS: remove it, or use rediss://';
  expect(complaints(schema, { caFile: 'a', minVersion: 'TLSv1.3' })).toEqual([
    `caFile: ${fix}`,
    `minVersion: ${fix}`,
  ]);
});
