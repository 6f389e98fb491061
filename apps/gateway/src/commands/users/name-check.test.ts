import { AuthenticatorError } from '@sallyport/authenticator';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { createTestContext } from '../../testing/command-context.ts';
import { checkName, refuseOtherName, remarkDoubts } from './name-check.ts';
import {
  configOf,
  hangs,
  isDown,
  knows,
  knowsNot,
  type LookUp,
  type Revalidate,
} from './testing/look-ups.ts';

const isJane: LookUp = async () => ({ username: 'jane' });
const wordsFor = (name: string) => ['block', '--user', name, '--for', '8h'];
const check = (backends: Parameters<typeof configOf>[0], name = 'corp:Jane') =>
  checkName(createTestContext(), configOf(backends), name);
const right = { isUnknown: false, otherNames: [], unchecked: [] };

/** What the command says instead of what it would do; undefined when it goes on. */
async function refusal(...given: Parameters<typeof check>): Promise<string | undefined> {
  const checked = await check(...given);
  try {
    refuseOtherName(createTestContext({ config: 'gateway.yaml' }), checked, wordsFor);
  } catch (error) {
    return String(error);
  }
  return undefined;
}

afterEach(() => void vi.useRealTimers());

describe('a name that a directory has for a user of another name', () => {
  test('is refused, with the command for that user', async () => {
    expect(await refusal({ corp: isJane })).toBe(
      'UsageError: nothing was done: corp:Jane is corp:jane, and names are as Kubernetes sees them, so this would have no effect: if you mean a ' +
        'user of exactly this name, add --exact. Otherwise, run:\n  sallyport block --user corp:jane --for 8h --config gateway.yaml',
    );
  });

  test('may be several users, whose names are quoted for a shell, and without what a terminal obeys', async () => {
    const odd: LookUp = async () => ({ username: "o'neil $x\u001b[2J" });
    const said = await refusal({ corp: isJane, eu: { prefix: 'corp:', lookUp: odd } });
    expect(said).toMatch(/ corp:Jane is corp:jane or corp:o'neil \$x/);
    expect(said).toContain(String.raw` --user 'corp:o'\''neil $x`);
    expect(said).not.toContain('\u001b');
  });

  test('is right where another authenticator has a user of it, or the same directory', async () => {
    expect(await check({ corp: isJane, robots: { prefix: 'corp:', lookUp: knows } })).toMatchObject(
      right,
    );
    // Who edits the mail address to be the name of someone else keeps no block from that one.
    for (const own of [
      { kind: 'authenticated', user: { username: 'Jane' } },
      { kind: 'rejected', reason: 'disabled' },
    ] as const) {
      expect(await check({ corp: { lookUp: isJane, revalidate: async () => own } })).toMatchObject(
        right,
      );
    }
    const none = { kind: 'rejected', reason: 'unknown-user' } as const;
    expect(await check({ corp: { lookUp: isJane, revalidate: async () => none } })).toMatchObject({
      otherNames: ['corp:jane'],
    });
  });

  test('is not refused while an authenticator cannot say whether it has a user of it', async () => {
    for (const [eu, why] of [
      [isDown, "eu can't check it (down)"],
      [
        () => Promise.reject(new AuthenticatorError('failed', 'several entries')),
        "eu can't check it (several entries)",
      ],
    ] as const) {
      const backends = { corp: isJane, eu: { prefix: 'corp:', lookUp: eu } };
      expect(await refusal(backends)).toBeUndefined();
      expect(await check(backends)).toMatchObject({ otherNames: ['corp:jane'], unchecked: [why] });
    }
  });

  test('is asked of those alone who may have users of it', async () => {
    const asked = vi.fn(isJane);
    expect(await check({ plain: asked, oidc: asked, corp: knows })).toMatchObject(right);
    expect(asked).not.toHaveBeenCalled();
  });
});

test.each([
  { wait: undefined, limit: 10_000, shown: '10s' },
  { wait: 0, limit: 2_000, shown: '2s' },
  { wait: 5_000, limit: 2_500, shown: '2500ms' },
  { wait: 600_000, limit: 10_000, shown: '10s' },
])(
  'with a --wait of $wait, the check of a name waits $shown for a directory',
  async ({ wait, limit, shown }) => {
    vi.useFakeTimers();
    let hasEnded = false;
    const checked = checkName(createTestContext(), configOf({ corp: hangs }), 'corp:Jane', wait);
    void checked.then(() => (hasEnded = true));
    await vi.advanceTimersByTimeAsync(limit - 1);
    expect(hasEnded).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect(await checked).toMatchObject({
      unchecked: [`corp can't check it (no answer within ${shown})`],
    });
  },
);

test('a plugin that does not start delays no answer of another one, and the check by as long as a directory may', async () => {
  vi.useFakeTimers();
  const check = checkName(
    createTestContext(),
    configOf({ corp: isJane, stuck: { prefix: 'corp:', isStuck: true } }),
    'corp:Jane',
    5_000,
  );
  await vi.advanceTimersByTimeAsync(5_000);
  expect(await check).toMatchObject({
    otherNames: ['corp:jane'],
    unchecked: ["stuck can't check it (no answer within 5s)"],
  });
});

test('an authenticator without lookUp is asked by revalidate', async () => {
  const revalidate: Revalidate = async ({ username }) =>
    username === 'Jane'
      ? { kind: 'rejected', reason: 'disabled' }
      : { kind: 'rejected', reason: 'unknown-user' };
  expect(await check({ corp: { revalidate } })).toMatchObject(right);
  expect(await check({ corp: { revalidate } }, 'corp:max')).toMatchObject({ isUnknown: true });
});

describe('what was done all the same is followed by a remark', () => {
  const said = async (...given: Parameters<typeof check>) => {
    const context = createTestContext();
    remarkDoubts(context, await check(...given), wordsFor);
    return context.printed.stderr;
  };

  test.each([
    {
      name: 'is of no user',
      backends: { corp: knowsNot },
      text: /knows user corp:Jane: was the name mistyped\? The command was run in any case\n {2}fix: if so, run it again with the name that .*\n$/,
    },
    {
      name: 'is of another user',
      backends: { corp: isJane },
      text: /corp:Jane is corp:jane: .*\n {2}fix: .* run:\n {4}.* block --user corp:jane --for 8h\n$/,
    },
    {
      name: 'is not checked',
      backends: { corp: isDown },
      text: /the name corp:Jane was not checked: corp can't check it \(down\)\. /,
    },
    {
      name: 'can not be checked',
      backends: { corp: 'broken' },
      text: /was not checked: corp can't check it \(f: broken\)\. /,
    },
  ] as const)('when the name $name', async ({ backends, text }) => {
    expect(await said(backends)).toMatch(text);
  });

  test('with --exact where the name has no prefix, and others have one', async () => {
    expect(await said({ plain: isJane, corp: knows }, 'Jane')).toMatch(
      / block --user jane --for 8h --exact\n$/,
    );
    expect(await said({ plain: isJane }, 'Jane')).toMatch(/ block --user jane --for 8h\n$/);
  });

  test('unless the name is right, or no one can look it up', async () => {
    expect(await said({ corp: knows })).toBe('');
    expect(await said({ corp: null })).toBe('');
  });
});
