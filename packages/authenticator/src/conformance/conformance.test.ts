import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type ConformanceCase, type ConformanceHarness, conformanceCases } from './index.ts';
import { secretFinder } from './leaks.ts';
import { brokenAbilities } from './testing/broken-abilities.ts';
import { brokenAnswers } from './testing/broken-answers.ts';
import { brokenCalls } from './testing/broken-calls.ts';
import { brokenDirectories } from './testing/broken-directories.ts';
import { brokenLifecycles } from './testing/broken-lifecycles.ts';
import type { Break } from './testing/broken-plugin.ts';
import { brokenUsers } from './testing/broken-users.ts';
import { type MemoryHarness, memoryHarness } from './testing/memory-harness.ts';

const brokenPlugins = [
  ...brokenLifecycles,
  ...brokenAnswers,
  ...brokenCalls,
  ...brokenAbilities,
  ...brokenUsers,
  brokenDirectories,
].flatMap(Object.entries);

const good = await memoryHarness();
const cases = conformanceCases(good);
afterAll(() => good[Symbol.asyncDispose]());

// The cases read the stack of each error for secrets. Vitest keeps 100 frames of each, and maps them to the sources.
const { stackTraceLimit } = Error;
beforeAll(() => {
  Error.stackTraceLimit = 2;
});
afterAll(() => {
  Error.stackTraceLimit = stackTraceLimit;
});

const undone: (() => void)[] = [];
afterEach(() => {
  for (const undo of undone.splice(0)) undo();
});

describe('a good plugin passes', () => {
  for (const { name, run } of cases) test(name, run);
});

test('every case has a broken plugin that it is there for', () => {
  const covered = new Set(brokenPlugins.map(([name]) => name));
  expect([...covered].sort()).toEqual(cases.map(({ name }) => name).sort());
});

describe('a plugin fails exactly the cases of its mistake, if it', () => {
  const rows = brokenPlugins.flatMap(([fails, mistakes]) =>
    Object.entries(mistakes).map(([mistake, made]) => {
      const [make, ...alsoFails] = Array.isArray(made) ? made : [made];
      return [mistake, make, [fails, ...alsoFails].sort()] as [string, Break, string[]];
    }),
  );
  test.each(rows)('%s', async (_mistake, make, expected) => {
    await using harness = await memoryHarness();
    const defer = (undo: () => void) => undone.push(undo);
    const plugin = make({ good: harness.plugin, backend: harness.backend, defer });
    // Only what must fail waits for a deadline.
    const hasty = conformanceCases({ ...harness, plugin, deadline: 1_000, recoverWithin: 200 });
    const run = conformanceCases({ ...harness, plugin }).map((one, index) =>
      expected.includes(one.name) ? (hasty[index] ?? one) : one,
    );
    const failures = await failuresOf(run);
    expect([...failures.keys()].sort()).toEqual(expected);
    for (const message of failures.values()) expectHelpful(message, harness);
  });
});

async function failuresOf(run: readonly ConformanceCase[]): Promise<ReadonlyMap<string, string>> {
  const failures = new Map<string, string>();
  for (const one of run)
    await one.run().catch((error: Error) => failures.set(one.name, error.message));
  return failures;
}

/** Expects a message that says what was expected, what came and why it matters, without a token. */
function expectHelpful(
  message: string,
  { secrets, validTokens, rejectedTokens }: MemoryHarness,
): void {
  expect(message).toMatch(/^Expected .+, but .+\. [A-Z].+[.)]$/s);
  const values = [
    ...secrets,
    ...validTokens.map(({ token }) => token),
    ...rejectedTokens.map(({ token }) => token),
  ];
  const named = values.map((value, index) => ({ name: `secret ${index}`, value }));
  expect(secretFinder(named).find(message)).toEqual([]);
}

describe('skips', () => {
  const [first] = cases as [ConformanceCase];
  const withSkip = (skip: Record<string, string>) => () => conformanceCases({ ...good, skip });

  test('a skipped case is given back with its reason, and does not pass when it is run', async () => {
    const skipped = withSkip({ [first.name]: 'not for this one' })().filter(
      ({ skip }) => skip !== undefined,
    );
    expect(skipped.map(({ name, skip }) => ({ name, skip }))).toEqual([
      { name: first.name, skip: 'not for this one' },
    ]);
    await expect(skipped[0]?.run()).rejects.toThrow('is skipped (not for this one)');
  });

  test.each(['', '  '])('a skip without a reason is an error: %j', (reason) => {
    expect(withSkip({ [first.name]: reason })).toThrow(
      `The skip of "${first.name}" needs a reason.`,
    );
  });

  test('a skip that names no case is an error that lists the names', () => {
    expect(withSkip({ 'no such case': 'because' })).toThrow(
      /skip names no case: "no such case"[\s\S]*the plugin has the shape/,
    );
  });

  test('without a backend the cases about outages are skipped for the reason given, and all others are not', () => {
    const skipped = conformanceCases({ ...good, backend: { none: 'all is in memory' } }).filter(
      ({ skip }) => skip,
    );
    expect(skipped.map(({ name }) => name).sort()).toEqual([
      'a backend that hung and is back is used by the same authenticator',
      'a backend that was stopped and is back is used by the same authenticator',
      'a call that waits for a hung backend ends when it is aborted',
      'a stopped backend is reported as unavailable, never as a refusal',
      'an attempt during an outage is settled as unavailable or unanswered',
      'check() resolves while the backend is up and rejects while it is stopped',
      'close() ends while the backend hangs',
      'create() succeeds while the backend is stopped',
      'lookUp() ends when it is aborted while the backend hangs',
      'lookUp() reports a stopped backend as unavailable',
      'revalidate() ends when it is aborted while the backend hangs',
      'revalidate() reports a stopped backend as unavailable',
    ]);
    expect(skipped.every(({ skip }) => skip === 'all is in memory')).toBe(true);
  });

  test('without lookUp or revalidate their cases are left out, and not skipped', () => {
    const { looksUpUsers: _, revalidation: __, ...rest } = good;
    const made = conformanceCases(rest as typeof good);
    expect(made.filter(({ skip }) => skip !== undefined)).toEqual([]);
    expect(cases.length - made.length).toBe(25);
    expect(
      made.filter(({ name }) => /lookUp|revalidate/.test(name)).map(({ name }) => name),
    ).toEqual(['lookUp() and revalidate() are there exactly where the harness says so']);
  });

  test('no backend without a reason is an error', () => {
    expect(() => conformanceCases({ ...good, backend: { none: ' ' } })).toThrow(
      'backend.none needs a reason',
    );
  });
});

describe('what the harness leaves out fails the cases that need it, rather than passing them', () => {
  async function failure(
    name: string,
    change: Partial<ConformanceHarness<never>>,
  ): Promise<string | undefined> {
    await using harness = await memoryHarness();
    const changed = conformanceCases({ ...harness, ...change } as ConformanceHarness<unknown>);
    return await changed
      .find((one) => one.name === name)
      ?.run()
      .then(
        () => 'it passed',
        (error: Error) => error.message,
      );
  }

  test('valid tokens of one user', async () => {
    const [one] = good.validTokens;
    const message = await failure('valid tokens authenticate as the users they belong to', {
      validTokens: one ? [one] : [],
    });
    expect(message).toContain('valid tokens of two users or more');
  });

  test.each([
    { field: 'rejectedTokens', name: 'refused tokens are rejected with their reason' },
    { field: 'foreignTokens', name: 'tokens that are not its own get no opinion' },
    { field: 'badOptions', name: 'bad options are refused with the key that is wrong' },
  ])('no $field', async ({ field, name }) => {
    expect(await failure(name, { [field]: [] })).toContain(`the harness to give ${field}`);
  });

  test('no user that revalidate refuses, and no uid', async () => {
    const refused = 'revalidate() refuses users that the backend does not let in, with the reason';
    expect(await failure(refused, { revalidation: { refused: [] } })).toContain(
      'revalidation.refused',
    );
    const validTokens = good.validTokens.map(({ token, user: { uid: _, ...user } }) => ({
      token,
      user,
    }));
    const other = 'revalidate() refuses a user with another uid as unknown-user';
    expect(await failure(other, { validTokens })).toContain('valid tokens of users with a uid');
  });

  test('secrets so short that they are found by chance', async () => {
    expect(await failure('no error carries a token or a password', { secrets: ['abc'] })).toContain(
      '8 characters',
    );
  });

  test("a backend that can't hang", async () => {
    const { backend } = good;
    const change = { backend: { stop: () => backend.stop(), start: () => backend.start() } };
    expect(await failure('close() ends while the backend hangs', change)).toContain(
      'backend.hang()',
    );
  });

  test('a plugin that looks users up although the harness does not say so', async () => {
    const existing = 'lookUp() and revalidate() are there exactly where the harness says so';
    expect(await failure(existing, { looksUpUsers: false })).toContain('to have no lookUp');
    expect(await failure(existing, { revalidation: undefined } as never)).toContain(
      'to have no revalidate',
    );
  });

  test('a plugin that watches files or sends passwords although the harness says no', async () => {
    const watched =
      'a watched file that turns to garbage is refused, and what was loaded stays in force';
    expect(await failure(watched, { watchesFiles: false })).toContain('no file to be watched');
    const asked = 'context.attempts is asked before a password goes out, and only then';
    expect(await failure(asked, { sendsPasswords: false })).toContain('no attempt to be asked for');
  });
});

describe('a case', () => {
  test('ends with a message when a call hangs', async () => {
    const plugin = { ...good.plugin, create: () => new Promise<never>(() => {}) };
    const [, made] = conformanceCases({ ...good, plugin, deadline: 60_000, limit: 30 }) as [
      unknown,
      ConformanceCase,
    ];
    await expect(made.run()).rejects.toThrow(
      'Expected the case to end within 30ms, but it did not.',
    );
  });

  test('closes its authenticator although it failed', async () => {
    let open = 0;
    const create: typeof good.plugin.create = async (options, context) => {
      const inner = await good.plugin.create(options, context);
      open += 1;
      const close = async () => {
        open -= 1;
      };
      return { ...inner, close, authenticate: () => Promise.reject(new Error('broken')) };
    };
    const failures = await failuresOf(
      conformanceCases({ ...good, plugin: { ...good.plugin, create }, recoverWithin: 1 }),
    );
    expect(failures.size).toBeGreaterThan(10);
    expect(open).toBeLessThanOrEqual(0);
  });

  test('never overlaps another of its harness, whatever the runner does', async () => {
    let running = 0;
    let max = 0;
    const create: typeof good.plugin.create = async (options, context) => {
      max = Math.max(max, ++running);
      const inner = await good.plugin.create(options, context);
      const close = async () => {
        running -= 1;
      };
      return { ...inner, close };
    };
    const names = [
      'valid tokens authenticate as the users they belong to',
      'refused tokens are rejected with their reason',
    ];
    const some = conformanceCases({ ...good, plugin: { ...good.plugin, create } }).filter(
      ({ name }) => names.includes(name),
    );
    await Promise.all(some.map(({ run }) => run()));
    expect({ cases: some.length, max }).toEqual({ cases: 2, max: 1 });
  });
});
