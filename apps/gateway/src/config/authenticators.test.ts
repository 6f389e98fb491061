import { createHash, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { makeFingerprint } from './authenticators.ts';
import { onOneLine, placed } from './problems.ts';
import {
  configFolder,
  folderWithProbe,
  pluginSource,
  problemsOf,
} from './testing/config-folder.ts';

describe('problems of plugins name the authenticator, the package and the fix', () => {
  test('a package that is missing', async () => {
    expect(await problemsOf('authenticators: [{ name: corp, use: "@acme/none" }]')).toEqual([
      expect.stringMatching(
        /^gateway\.yaml:1:37: authenticators\[0\]\.use: authenticator corp: the package @acme\/none is not installed: choose/,
      ),
    ]);
  });

  const seeOptions = 'see the options of probe.js';
  test.each<{ name: string; schema: string; options: string; problems: unknown[] }>([
    {
      name: 'bad options',
      schema:
        'z.strictObject({ url: z.string(), size: z.int(), bind: z.strictObject({ dn: z.string().optional() }) })',
      options: '{ size: 1.5, bind: { dm: x } }',
      problems: [
        `gateway.yaml:1:58: authenticators[0].options.url: authenticator corp (probe.js): is missing: it must be a string: ${seeOptions}`,
        `gateway.yaml:1:66: authenticators[0].options.size: authenticator corp (probe.js): Invalid input: expected int, received number: ${seeOptions}`,
        'gateway.yaml:1:79: authenticators[0].options.bind.dm: authenticator corp (probe.js): unknown key: did you mean dn?',
      ],
    },
    {
      name: 'a word that the option does not take',
      schema:
        "z.object({ on: z.enum(['no-opinion', 'rejected'], { error: 'must be no-opinion or rejected' }) })",
      options: '{ on: allow }',
      problems: [
        expect.stringMatching(
          /must be no-opinion or rejected: write one of these, such as no-opinion$/,
        ),
      ],
    },
    {
      name: 'another word than the only one',
      schema: "z.object({ on: z.enum(['MatchAny'], { error: 'must be MatchAny' }) })",
      options: '{ on: MatchAll }',
      problems: [expect.stringMatching(/must be MatchAny: write MatchAny$/)],
    },
    {
      name: 'what the branches of a union allow',
      schema: 'z.object({ a: z.union([z.string(), z.object({ b: z.string() })]) })',
      options: '{ a: 1 }',
      problems: [
        expect.stringContaining(
          'Invalid input: expected string, received number; or: Invalid input: expected object, received number',
        ),
      ],
    },
    {
      name: 'a key that only a validator knows is unknown',
      schema: 'z.union([z.strictObject({ a: z.string() }), z.strictObject({ b: z.string() })])',
      options: '{ a: x, b: y }',
      problems: [expect.stringContaining('Unrecognized key: "b"')],
    },
    {
      name: 'a validation that throws',
      schema: 'z.strictObject({ a: z.unknown().transform(() => { throw new Error("oh") }) })',
      options: '{ a: 1 }',
      problems: [
        expect.stringContaining(
          'authenticators[0].options: authenticator corp (probe.js): its validation failed: oh',
        ),
      ],
    },
    {
      name: 'a secret that is missing, without a second problem from the schema',
      schema: 'z.object({ url: z.string() })',
      options: '{ url: { env: A } }',
      problems: [
        'gateway.yaml:1:65: authenticators[0].options.url: authenticator corp: the environment variable A is not set: set it where the gateway is started',
      ],
    },
  ])('$name', async ({ schema, options, problems }) => {
    const text = `authenticators: [{ name: corp, use: ./probe.js, options: ${options} }]`;
    expect(await problemsOf(text, pluginSource(schema))).toEqual(problems);
  });

  test('create() that throws, reported by the config', async () => {
    await using folder = await folderWithProbe(
      pluginSource('z.object({ a: z.string(), b: z.array(z.object({ c: z.string() })) })'),
    );
    const secret = randomBytes(16).toString('hex');
    const text =
      'authenticators:\n  - name: corp\n    use: ./probe.js\n    options: { a: { env: A }, b: [{ c: ./ca.crt }] }';
    const [corp] = (await folder.load(text, { A: secret })).authenticators;
    const report = (cause: unknown, ...more: [failure?: string, secrets?: string[]]) =>
      corp ? onOneLine(placed(corp.problem(cause, ...more))).replaceAll(`${folder.path}/`, '') : '';
    expect(report(new Error('tokensFile is missing'))).toBe(
      "gateway.yaml:2:5: authenticators[0]: authenticator corp (probe.js) can't be made: tokensFile is missing",
    );
    expect(report(new Error('down'), "can't issue tokens")).toMatch(
      /authenticator corp \(probe\.js\) can't issue tokens: down$/,
    );
    expect(report(new Error(`${folder.path}/ca.crt can't be read`))).toBe(
      "gateway.yaml:4:40: authenticators[0].options.b[0].c: authenticator corp (probe.js) can't be made: ca.crt can't be read",
    );
    const withheld = / can't be made: the plugin's message is hidden because it contains a secret$/;
    expect(report(new Error(`no server at ${secret}`))).toMatch(withheld);
    expect(report(new Error('no token abc'), undefined, ['abc'])).toMatch(withheld);
    const words = [`https://svc:${secret}@corp`, 'no answer'].map((one) => corp?.withhold(one));
    expect(words).toEqual([
      "the plugin's message is hidden because it contains a secret",
      'no answer',
    ]);
  });
});

describe('secrets never appear in a problem', () => {
  test('whatever a schema says of what it was given', async () => {
    const secret = `${randomBytes(16).toString('hex')}`;
    await using folder = await folderWithProbe(
      pluginSource(`z.object({
        number: z.int(), url: z.url(), choice: z.enum(['a']), short: z.string().max(1), map: z.record(z.string(), z.int()),
        list: z.array(z.string()), union: z.union([z.int(), z.url()]), kind: z.discriminatedUnion('k', [z.object({ k: z.literal('a') })]),
        quoted: z.string().refine(() => false, { error: (issue) => 'bad value ' + issue.input }),
        thrown: z.string(),
      }).transform((value, context) => { throw new Error(JSON.stringify(value)) })`),
    );
    const keys = ['number', 'url', 'choice', 'short', 'map', 'list', 'union', 'quoted', 'thrown'];
    const options = [
      ...keys.map((key) => `${key}: { env: SECRET }`),
      'kind: { k: { env: SECRET } }',
    ].join(', ');
    const problems = await folder.problems(
      `authenticators: [{ name: corp, use: ./probe.js, options: { ${options} } }]`,
      {
        SECRET: secret,
      },
    );
    expect(problems.length).toBeGreaterThanOrEqual(9);
    expect(problems.join('\n')).not.toContain(secret);
    expect(problems.join('\n')).toContain(
      "options.quoted: authenticator corp (probe.js): is refused; the plugin's message",
    );
  });

  test('also when the validation throws with it', async () => {
    const secret = randomBytes(16).toString('hex');
    await using folder = await folderWithProbe(
      pluginSource(
        'z.strictObject({ a: z.string().transform((value) => { throw new Error(value) }) })',
      ),
    );
    const text = 'authenticators: [{ name: corp, use: ./probe.js, options: { a: { env: A } } }]';
    expect((await folder.problems(text, { A: secret })).join('\n')).not.toContain(secret);
  });

  test('a secret that is missing is reported once, also where the schema checks the options as a whole', async () => {
    await using folder = await folderWithProbe(
      pluginSource(
        'z.strictObject({ url: z.string().optional(), size: z.int() }).refine(({ url }) => url, "no url is given")',
      ),
    );
    const text = (options: string) =>
      `authenticators: [{ name: corp, use: ./probe.js, options: ${options} }]`;
    const missing = expect.stringContaining(
      'options.url: authenticator corp: the environment variable A is not set',
    );
    expect(await folder.problems(text('{ size: 1, url: { env: A } }'))).toEqual([missing]);
    expect(await folder.problems(text('{ size: 1 }'))).toEqual([
      expect.stringContaining('no url is given'),
    ]);
    // Problems of other options are reported with it.
    expect(await folder.problems(text('{ size: x, url: { env: A } }'))).toEqual([
      expect.stringContaining('options.size'),
      missing,
    ]);
  });
});

const plugin = { use: 'corp', package: '@sallyport/authenticator-corp', digest: 'one' };
const of = (options: unknown) => makeFingerprint('a', plugin, options);

describe('the fingerprint of an authenticator', () => {
  test('is a SHA-256 of its configuration in one order of keys', () => {
    const text = `{"digest":"one","name":"a","options":{"a":[2,1],"b":{"c":null,"d":"x"}},"package":"${plugin.package}","use":"corp"}`;
    expect(of({ b: { d: 'x', c: null }, a: [2, 1] })).toBe(
      createHash('sha256').update(text).digest('base64url'),
    );
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

  // What JSON can't say, and what the property never makes.
  test.each([
    [[[1], 2], [[1, 2]]],
    [Number.POSITIVE_INFINITY, null],
    [Number.NaN, 'NaN'],
  ])('differs for %j and %j', (one, other) => {
    expect(of({ a: one })).not.toBe(of({ a: other }));
  });

  test.each([
    { what: 'name', name: 'b', changed: plugin },
    { what: 'use', name: 'a', changed: { ...plugin, use: plugin.package } },
    { what: 'package', name: 'a', changed: { ...plugin, package: 'other' } },
    { what: 'code', name: 'a', changed: { ...plugin, digest: 'other' } },
  ])('is another for another $what', ({ name, changed }) => {
    expect(makeFingerprint(name, changed, {})).not.toBe(of({}));
  });
});

describe('the fingerprint in a config', () => {
  const text = (options = '{}', name = 'a') =>
    `authenticators: [{ name: ${name}, use: ./probe.js, options: ${options} }]`;

  async function inFolder(
    yaml: string,
    source?: string,
    environment = {},
  ): Promise<string | undefined> {
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
    const source = pluginSource(
      'z.strictObject({ preset: z.string().default("x"), a: z.unknown().optional() })',
    );
    const one = await inFolder(text('{ a: { env: A } }'), source, { A: 'one' });
    expect(await inFolder(text('{ a: { env: A } }'), source, { A: 'two' })).toBe(one);
    expect(await inFolder(text('{ a: { env: B } }'), source, { B: 'one' })).not.toBe(one);
    expect(await inFolder(text('{ a: { env: A }, preset: x }'), source, { A: 'one' })).not.toBe(
      one,
    );
  });

  test('takes a package by its manifest, which has its version, and its file', async () => {
    const ofPackage = async (manifest: object, source = pluginSource('z.object({})')) => {
      await using folder = await configFolder();
      await folder.install('@acme/corp', source);
      const exports = { import: './index.js' };
      const content = JSON.stringify({ name: '@acme/corp', type: 'module', exports, ...manifest });
      await folder.write('node_modules/@acme/corp/package.json', content);
      const { authenticators } = await folder.load(
        'authenticators: [{ name: a, use: "@acme/corp" }]',
      );
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
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, replaced(item, place, other)]),
  );
}

function isSame(one: unknown, other: unknown): boolean {
  if (typeof one !== 'object' || one === null || typeof other !== 'object' || other === null)
    return one === other;
  if (Array.isArray(one) !== Array.isArray(other)) return false;
  const [keys, others] = [Object.keys(one), Object.keys(other)];
  return (
    keys.length === others.length &&
    keys.every(
      (key) => Object.hasOwn(other, key) && isSame(Reflect.get(one, key), Reflect.get(other, key)),
    )
  );
}
