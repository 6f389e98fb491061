import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fingerprint, recordFormat } from './fingerprint.ts';
import { configFolder, folderWithProbe, pluginSource } from './testing/config-folder.ts';

const plugin = { use: 'corp', package: '@sallyport/authenticator-corp', digest: 'one' };
const of = (options: unknown) => fingerprint({ name: 'a', plugin, options });

describe('the fingerprint of an authenticator', () => {
  test('is a SHA-256 of its configuration in one order of keys', () => {
    const text = `{"digest":"one","name":"a","options":{"a":[2,1],"b":{"c":null,"d":"x"}},"package":"${plugin.package}","recordFormat":${recordFormat},"use":"corp"}`;
    expect(of({ b: { d: 'x', c: null }, a: [2, 1] })).toBe(createHash('sha256').update(text).digest('base64url'));
  });

  test('is the same whatever the order of keys', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.infiniteStream(fc.nat()), (options, numbers) => {
        expect(of(shuffled(options, numbers))).toBe(of(options));
      }),
    );
  });

  test('is another when any value is', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.nat(), fc.jsonValue(), (options, place, other) => {
        const changed = replaced(options, { left: place }, other);
        expect(of(changed) === of(options)).toBe(isSame(changed, options));
      }),
    );
  });

  test.each([
    [1, '1'],
    [null, 'null'],
    [true, 'true'],
    [[], {}],
    [
      [1, 2],
      [2, 1],
    ],
    [[[1], 2], [[1, 2]]],
    [Number.POSITIVE_INFINITY, null],
    [Number.NaN, 'NaN'],
    [{ a: { b: 1 } }, { a: {}, b: 1 }],
  ])('differs for %j and %j', (one, other) => {
    expect(of({ a: one })).not.toBe(of({ a: other }));
  });

  test.each([
    ['name', { name: 'b', plugin }],
    ['use', { name: 'a', plugin: { ...plugin, use: plugin.package } }],
    ['package', { name: 'a', plugin: { ...plugin, package: 'other' } }],
    ['code', { name: 'a', plugin: { ...plugin, digest: 'other' } }],
  ])('is another for another %s', (_what, changed) => {
    expect(fingerprint({ ...changed, options: {} })).not.toBe(of({}));
  });
});

describe('the fingerprint in a config', () => {
  const text = (options = '{}', name = 'a') =>
    `authenticators: [{ name: ${name}, use: ./probe.js, options: ${options} }]`;

  async function inFolder(yaml: string, source?: string, environment = {}): Promise<string | undefined> {
    await using folder = await folderWithProbe(source);
    return (await folder.load(yaml, environment)).authenticators[0]?.fingerprint;
  }

  test('is the same in another folder, and another for another file', async () => {
    const one = await inFolder(text());
    expect(await inFolder(text())).toBe(one);
    expect(await inFolder(text('{}', 'b'))).not.toBe(one);
    expect(await inFolder(text(), `${pluginSource('z.strictObject({})')}// other`)).not.toBe(one);
  });

  test('is of the options as they are written: references of secrets, and no defaults', async () => {
    const source = pluginSource('z.strictObject({ preset: z.string().default("x"), a: z.unknown().optional() })');
    const one = await inFolder(text('{ a: { env: A } }'), source, { A: 'one' });
    expect(await inFolder(text('{ a: { env: A } }'), source, { A: 'two' })).toBe(one);
    expect(await inFolder(text('{ a: { env: B } }'), source, { B: 'one' })).not.toBe(one);
    expect(await inFolder(text('{ a: { env: A }, preset: x }'), source, { A: 'one' })).not.toBe(one);
  });

  test('takes a package by its manifest, which has its version, and its file', async () => {
    const ofPackage = async (manifest: object, source = pluginSource('z.object({})')) => {
      await using folder = await configFolder();
      await folder.install('@acme/corp', source);
      const exports = { import: './index.js' };
      const content = JSON.stringify({ name: '@acme/corp', type: 'module', exports, ...manifest });
      await folder.write('node_modules/@acme/corp/package.json', content);
      const { authenticators } = await folder.load('authenticators: [{ name: a, use: "@acme/corp" }]');
      return authenticators[0]?.fingerprint;
    };
    const other = `${pluginSource('z.object({})')}// other`;
    const one = await ofPackage({ version: '1.0.0' });
    expect(await ofPackage({ version: '1.0.0' })).toBe(one);
    expect(await ofPackage({ version: '1.0.1' })).not.toBe(one);
    expect(await ofPackage({ version: '1.0.0' }, other)).not.toBe(one);
  });
});

function shuffled(value: unknown, numbers: Iterator<number>): unknown {
  if (Array.isArray(value)) return value.map((item) => shuffled(item, numbers));
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(
    ([key, item]) => [key, shuffled(item, numbers), numbers.next().value] as const,
  );
  return Object.fromEntries(entries.sort(([, , one], [, , other]) => one - other));
}

/** The value with one part replaced, counted from its root; the value itself when there is no such part. */
function replaced(value: unknown, place: { left: number }, other: unknown): unknown {
  if (place.left-- === 0) return other;
  if (Array.isArray(value)) return value.map((item) => replaced(item, place, other));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, replaced(item, place, other)]));
}

function isSame(one: unknown, other: unknown): boolean {
  if (typeof one !== 'object' || one === null || typeof other !== 'object' || other === null) return one === other;
  if (Array.isArray(one) !== Array.isArray(other)) return false;
  const [keys, others] = [Object.keys(one), Object.keys(other)];
  return (
    keys.length === others.length &&
    keys.every((key) => Object.hasOwn(other, key) && isSame(Reflect.get(one, key), Reflect.get(other, key)))
  );
}
