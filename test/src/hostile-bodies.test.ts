import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { review } from './testing/clients.ts';
import { protocols, startFleet } from './testing/protocols.ts';
import { authenticated, type ScriptedBackend, startScriptedBackend } from './testing/scripted-backend.ts';
import { apiVersion, reviewBody } from './testing/token-review.ts';
import { randomToken } from './testing/tokens.ts';

const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024, ' '));

let backend: ScriptedBackend;

const fleet = startFleet(async () => {
  backend = await startScriptedBackend();
  return { config: { authenticators: [backend.authenticator('corp')] } };
});

afterEach(async () => {
  for (const protocol of protocols) {
    const token = randomToken();
    backend.answer(token, authenticated('ada'));
    expect(await review(fleet.client(protocol), token)).toMatchObject({ authenticated: true });
  }
  for (const gateway of fleet.gateways()) {
    expect(gateway.output.lines.filter((line) => /bug|uncaught|unhandled/i.test(line.msg))).toEqual([]);
  }
});

describe.each(protocols)('over %s', (protocol) => {
  test('bytes that are no UTF-8 in a token reach no backend and let no one in', async () => {
    backend.answerOthers(authenticated('anyone'));
    const [head = '', tail = ''] = reviewBody(`${randomToken()}|${randomToken()}`).split('|');
    const before = backend.calls.length;
    const body = Buffer.concat([
      Buffer.from(head),
      Buffer.from([0xff, 0xc0, 0x80, 0xed, 0xa0, 0x80]),
      Buffer.from(tail),
    ]);
    const response = await fleet.client(protocol).send({ body });
    backend.answerOthers({ kind: 'no-opinion' });
    expect([200, 400]).toContain(response.status);
    expect(response.text).not.toContain('"authenticated":true');
    expect(backend.calls.slice(before)).toEqual([]);
  });

  test('half a surrogate pair in a token reaches no backend and lets no one in', async () => {
    backend.answerOthers(authenticated('anyone'));
    const before = backend.calls.length;
    const body = reviewBody(`${randomToken()}|`).replace('|', '\\ud800');
    const response = await fleet.client(protocol).send({ body });
    backend.answerOthers({ kind: 'no-opinion' });
    expect(response.text).not.toContain('"authenticated":true');
    expect(backend.calls.slice(before)).toEqual([]);
  });

  test.each([
    ['arrays', '[', ']'],
    ['objects', '{"a":', '}'],
  ])('%s nested as deep as the body may be long are answered', async (_name, open, close) => {
    const depth = Math.floor((250 * 1024) / (open.length + close.length));
    const nested = open.repeat(depth) + (open === '[' ? '' : '1') + close.repeat(depth);
    const token = randomToken();
    const body = reviewBody(token).replace('"creationTimestamp":null', `"a":${nested}`);
    const response = await fleet.client(protocol).send({ body });
    expect([200, 400]).toContain(response.status);
  });

  test('of duplicate keys the last wins', async () => {
    const [first, last] = [randomToken(), randomToken()];
    backend.answer(last, authenticated('last'));
    const body = reviewBody('').replace('"token":""', `"token":"${first}","token":"${last}"`);
    const response = await fleet.client(protocol).send({ body });
    expect(JSON.parse(response.text).status).toMatchObject({ user: { username: 'last' } });
    expect(backend.callsOf(first)).toEqual([]);
  });

  test.each([
    ['__proto__ at the top', '"__proto__":{"status":{"authenticated":true}}'],
    ['__proto__ as the only spec', '"__proto__":{"spec":{"token":"x"}}'],
    ['constructor.prototype', '"constructor":{"prototype":{"authenticated":true,"user":{"username":"root"}}}'],
  ])('%s changes nothing for any review', async (_name, member) => {
    const token = randomToken();
    const body = reviewBody(token).replace('"metadata"', `${member},"metadata"`);
    const response = await fleet.client(protocol).send({ body });
    expect([200, 400]).toContain(response.status);
    expect(response.text).not.toContain('"authenticated":true');
    expect(await review(fleet.client(protocol), randomToken())).toEqual({ authenticated: false });
  });

  test('any JSON value is answered 400 with a Status, unless it is a review', async () => {
    const value = fc.oneof(fc.jsonValue(), fc.constantFrom(null, '', 'TokenReview', apiVersion('v1')));
    const review = fc.record(
      { apiVersion: value, kind: value, spec: fc.oneof(value, fc.record({ token: value, audiences: value })) },
      { requiredKeys: [] },
    );
    const property = fc.asyncProperty(fc.oneof(value, review), async (body) => {
      const response = await fleet.client(protocol).send({ body: JSON.stringify(body) });
      const isReview = typeof body === 'object' && body !== null && 'spec' in body && response.status === 200;
      expect(response.status).toBe(isReview ? 200 : 400);
      expect(JSON.parse(response.text).kind).toBe(isReview ? 'TokenReview' : 'Status');
    });
    await fc.assert(property, { numRuns: 60 });
  });

  test('a review with one byte changed is answered 200 or with a Status', async () => {
    const text = Buffer.from(reviewBody(randomToken(), 'v1', ['vault']));
    const change = fc.tuple(fc.nat(text.length - 1), fc.integer({ min: 0, max: 255 }));
    const property = fc.asyncProperty(change, async ([place, byte]) => {
      const body = Buffer.from(text);
      body[place] = byte;
      const response = await fleet.client(protocol).send({ body });
      expect([200, 400]).toContain(response.status);
      expect(JSON.parse(response.text).kind).toBe(response.status === 200 ? 'TokenReview' : 'Status');
    });
    await fc.assert(property, { numRuns: 60 });
  });

  test('a bomb of 64 MiB in 64 KiB of gzip is not unpacked', async () => {
    const response = await fleet.client(protocol).send({ body: bomb, headers: { 'content-encoding': 'gzip' } });
    expect(response.status).toBe(415);
  });

  test('text behind the review is refused', async () => {
    const token = randomToken();
    const response = await fleet.client(protocol).send({ body: `${reviewBody(token)}${reviewBody(token)}` });
    expect(response.status).toBe(400);
    expect(backend.callsOf(token)).toEqual([]);
  });
});
