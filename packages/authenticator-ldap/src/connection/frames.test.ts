import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { createFramer } from './codec.ts';
import { ber } from './testing/ber.ts';
import { searchDone, searchEntry } from './testing/ldap-answers.ts';

/** Cuts the bytes at these indexes. */
function split(bytes: Buffer, places: readonly number[]): Buffer[] {
  const cuts = [0, ...[...places].sort((a, b) => a - b), bytes.length];
  return cuts.slice(1).map((end, index) => bytes.subarray(cuts[index], end));
}

describe('frames', () => {
  test('are the same however the stream is split', () => {
    const content = fc.uint8Array({ maxLength: 400 });
    fc.assert(
      fc.property(
        fc.array(content, { maxLength: 8 }),
        fc.array(fc.nat(), { maxLength: 12 }),
        (contents, places) => {
          const frames = contents.map((bytes) => ber(0x30, Buffer.from(bytes)));
          const stream = Buffer.concat(frames);
          const framer = createFramer();
          const chunks = split(
            stream,
            places.map((place) => place % (stream.length + 1)),
          );
          const got = chunks.flatMap((chunk) => framer.push(Buffer.from(chunk)));
          expect(got).toEqual(frames);
          expect(framer.pending).toBe(0);
        },
      ),
    );
  });

  test('are whole when each byte comes by itself', () => {
    const frames = [
      searchEntry({ id: 2, dn: 'cn=x', attributes: { cn: ['x'.repeat(300)] } }),
      searchDone({ id: 2 }),
    ];
    const framer = createFramer();
    const got = [...Buffer.concat(frames)].flatMap((byte) => framer.push(Buffer.from([byte])));
    expect(got).toEqual(frames);
  });

  test('stay as they were when later bytes come', () => {
    const framer = createFramer();
    framer.push(Buffer.from('3003', 'hex'));
    const [first] = framer.push(Buffer.from('aaaaaa3003bb', 'hex'));
    framer.push(Buffer.from('bbbb', 'hex'));
    expect(first?.toString('hex')).toBe('3003aaaaaa');
  });

  test('have lengths of four bytes, as AD writes them', () => {
    expect(createFramer().push(Buffer.from('3084000000010a', 'hex'))).toEqual([
      Buffer.from('3084000000010a', 'hex'),
    ]);
  });

  test('come out of ten thousand tiny messages in one chunk', () => {
    const chunk = Buffer.concat(Array.from({ length: 10_000 }, () => Buffer.from('3000', 'hex')));
    expect(createFramer().push(chunk)).toHaveLength(10_000);
  });

  test('of many bytes are copied as rarely in small chunks as in large ones', () => {
    using copy = vi.spyOn(Buffer.prototype, 'copy');
    const frame = ber(0x30, Buffer.alloc(1024 * 1024 - 5));
    const framer = createFramer();
    let got: Buffer[] = [];
    for (let offset = 0; offset < frame.length; offset += 64)
      got = framer.push(frame.subarray(offset, offset + 64));
    const copied = copy.mock.results.reduce((sum, { value }) => sum + value, 0);
    expect(got[0]?.equals(frame)).toBe(true);
    expect(copied).toBeLessThan(4 * frame.length);
  });

  test.each([
    { what: 'an HTTP answer', text: 'HTTP/1.1 400 Bad Request\r\n' },
    { what: 'zeros', text: '\0\0\0\0' },
    { what: 'one byte of a wrong tag', text: '\x31' },
    { what: 'an indefinite length', text: '\x30\x80' },
    { what: 'a length of five bytes', text: '\x30\x85' },
    { what: 'a reserved length', text: '\x30\xff' },
  ])('are refused immediately for $what', ({ text }) => {
    const framer = createFramer();
    expect(() => framer.push(Buffer.from(text, 'latin1'))).toThrow(
      expect.objectContaining({ kind: 'protocol' }),
    );
  });

  test('are refused when a wrong one follows a valid one', () => {
    expect(() => createFramer().push(Buffer.from('300048', 'hex'))).toThrow(
      'began with the byte 0x48 and not 0x30: is this the port of an HTTP server?',
    );
    expect(() => createFramer().push(Buffer.from('300031', 'hex'))).toThrow(/ 0x31 and not 0x30$/);
  });

  test('are refused at their header when they are over the bound', () => {
    expect(() => createFramer().push(Buffer.from('308401000000', 'hex'))).toThrow(
      expect.objectContaining({ kind: 'too-large' }),
    );
    expect(createFramer().push(Buffer.from('308400fffffa', 'hex'))).toEqual([]);
    expect(() => createFramer(300).push(Buffer.from('30820200', 'hex'))).toThrow('516 bytes');
  });
});
