import { inspect } from 'node:util';
import { describe, expect, test, vi } from 'vitest';
import { ber, berInteger } from './testing/ber.ts';
import {
  answerSuccess,
  connectTo,
  credentials,
  errorOf,
  everything,
  never,
} from './testing/connecting.ts';
import { startFakeServer } from './testing/fake-server.ts';
import {
  bindResponse,
  extendedResponse,
  ldapMessage,
  passwordPolicyControl,
  resultMessage,
  searchDone,
  searchEntry,
  searchReference,
} from './testing/ldap-answers.ts';

describe('rule 6: only a bind response to the bind is its answer', () => {
  const success = [berInteger(0, 0x0a), ber(0x04), ber(0x04)];

  test.each<{ what: string; answer: (id: number) => Buffer }>([
    { what: 'a search result', answer: (id) => searchDone({ id }) },
    { what: 'a modify response', answer: (id) => resultMessage(0x67, { id }) },
    { what: 'an extended response', answer: (id) => extendedResponse({ id }) },
    { what: 'an intermediate response', answer: (id) => resultMessage(0x79, { id }) },
    { what: 'a search entry, which has no code', answer: (id) => searchEntry({ id, dn: '' }) },
    { what: 'a reference', answer: (id) => searchReference(id, 'ldap://x') },
    { what: 'another id', answer: (id) => bindResponse({ id: id + 1 }) },
    { what: 'the id 0', answer: () => bindResponse({ id: 0 }) },
    {
      what: 'a code without a byte',
      answer: (id) => ldapMessage(id, ber(0x61, ber(0x0a), ber(0x04), ber(0x04))),
    },
    {
      what: 'a code that overflows to 0',
      answer: (id) => ldapMessage(id, ber(0x61, ber(0x0a, '\x01\0\0\0\0'), ber(0x04), ber(0x04))),
    },
    {
      what: 'a second answer behind it',
      answer: (id) => Buffer.concat([bindResponse({ id }), bindResponse({ id, code: 49 })]),
    },
    {
      what: 'bytes behind it',
      answer: (id) => Buffer.concat([bindResponse({ id }), Buffer.from('30', 'hex')]),
    },
    {
      what: 'two operations in one message',
      answer: (id) => ber(0x30, berInteger(id), ber(0x61, ...success), ber(0x61, ...success)),
    },
  ])('and not $what', async ({ answer }) => {
    await using fake = await startFakeServer({
      onRequest: ({ id }, peer) => peer.write(answer(id)),
    });
    const connection = await connectTo(fake.server);
    expect(await errorOf(connection.bind(credentials, never))).toMatchObject({
      kind: 'protocol',
      step: 'bind',
    });
    expect(connection.isOpen).toBe(false);
    await fake.untilClosed();
  });

  test('and a search is not answered by a bind response', async () => {
    await using fake = await startFakeServer({
      onRequest: ({ id }, peer) => peer.write(bindResponse({ id })),
    });
    const connection = await connectTo(fake.server);
    expect(await errorOf(connection.search(everything, never))).toMatchObject({
      kind: 'protocol',
      step: 'search',
    });
  });

  test('in whatever pieces it comes, with its code, its text and its controls (rule 8)', async () => {
    const fields = {
      code: 4096,
      diagnosticMessage: 'comment: AcceptSecurityContext error, data 533, v1db1',
    };
    const controls = [passwordPolicyControl({ error: 1 })];
    await using fake = await startFakeServer({
      onRequest: ({ id }, peer) =>
        peer.write(
          ...[...bindResponse({ id, ...fields, controls })].map((byte) => Buffer.from([byte])),
        ),
    });
    const connection = await connectTo(fake.server);
    const answer = { ...fields, passwordPolicyError: 1, passwordMustChange: false };
    expect(await connection.bind(credentials, never)).toEqual(answer);
    connection.close();
  });
});

describe('rule 14: entries have bytes, and references are apart', () => {
  test('in a search with an error at its end', async () => {
    const guid = Buffer.from('00ff80fe5c2a0aff', 'hex');
    await using fake = await startFakeServer({
      onRequest({ id }, peer) {
        const entry = searchEntry({ id, dn: 'cn=x', attributes: { objectGUID: [guid] } });
        peer.write(
          Buffer.concat([
            searchReference(id, 'ldap://other/dc=x'),
            entry,
            searchReference(id, 'ldap://o'),
          ]),
        );
        peer.write(searchDone({ id, code: 4, diagnosticMessage: 'size limit' }));
      },
    });
    const connection = await connectTo(fake.server);
    expect(await connection.search(everything, never)).toEqual({
      code: 4,
      diagnosticMessage: 'size limit',
      entries: [{ dn: 'cn=x', attributes: new Map([['objectguid', [guid]]]) }],
      references: ['ldap://other/dc=x', 'ldap://o'],
    });
    connection.close();
  });

  test('and an answer without bounds is too large', async () => {
    const filler = Buffer.alloc(1024 * 1024);
    await using fake = await startFakeServer({
      onRequest({ id }, peer) {
        const entry = searchEntry({ id, dn: 'cn=x', attributes: { jpegPhoto: [filler] } });
        peer.write(...Array.from({ length: 17 }, () => entry));
      },
    });
    const connection = await connectTo(fake.server);
    expect(await errorOf(connection.search(everything, never))).toMatchObject({
      kind: 'too-large',
      step: 'search',
    });
    await fake.untilClosed();
  });

  test('and one over the bound of the request, though nothing else is wrong with it', async () => {
    await using fake = await startFakeServer({
      onRequest: ({ id }, peer) =>
        peer.write(Buffer.concat([searchEntry({ id, dn: 'cn=x' }), searchDone({ id })])),
    });
    const bytes = Buffer.concat([searchEntry({ id: 2, dn: 'cn=x' }), searchDone({ id: 2 })]).length;
    const connection = await connectTo(fake.server);
    expect(await connection.search({ ...everything, maxBytes: bytes }, never)).toMatchObject({
      code: 0,
    });
    connection.close();
    const bad = await connectTo(fake.server);
    const error = await errorOf(bad.search({ ...everything, maxBytes: bytes - 1 }, never));
    expect(error).toMatchObject({ kind: 'too-large', step: 'search' });
    await fake.untilClosed();
  });

  test('and one of very many small parts too', async () => {
    const values = ber(0x31, Buffer.alloc(600_000, ber(0x04)));
    const attribute = ber(0x30, ber(0x30, ber(0x04, 'member'), values));
    await using fake = await startFakeServer({
      onRequest: ({ id }, peer) => peer.write(ldapMessage(id, ber(0x64, ber(0x04), attribute))),
    });
    const connection = await connectTo(fake.server);
    expect(await errorOf(connection.search(everything, never))).toMatchObject({
      kind: 'too-large',
      step: 'search',
    });
    await fake.untilClosed();
  });
});

describe('rule 15: errors of the library are errors of the call', () => {
  test("a filter that can't be written rejects, and the connection goes on", async () => {
    await using fake = await startFakeServer({ onRequest: answerSuccess });
    const connection = await connectTo(fake.server);
    const search = connection.search(
      { ...everything, filter: { kind: 'present', attribute: 'uid)(x' } },
      never,
    );
    await expect(search).rejects.toThrow('is not the name or OID');
    expect(await connection.search(everything, never)).toMatchObject({ code: 0 });
    expect(fake.requests).toHaveLength(1);
    connection.close();
  });

  test('a listener that throws does not keep others from hearing of the close', async () => {
    await using fake = await startFakeServer({ onRequest: (_request, peer) => peer.reset() });
    const connection = await connectTo(fake.server);
    const listener = vi.fn();
    connection.onClose(() => {
      throw new Error('mine');
    });
    connection.onClose(listener);
    const error = await errorOf(connection.bind(credentials, never));
    expect(listener).toHaveBeenCalledExactlyOnceWith(error);
  });

  test('a password is in no error', async () => {
    await using fake = await startFakeServer({ onRequest: ({ bytes }, peer) => peer.write(bytes) });
    const error = await errorOf((await connectTo(fake.server)).bind(credentials, never));
    expect(inspect(error, { depth: 10, showHidden: true })).not.toContain(credentials.password);
    expect(inspect(error, { depth: 10, showHidden: true })).not.toContain('al\\\\5C69ce');
  });
});
