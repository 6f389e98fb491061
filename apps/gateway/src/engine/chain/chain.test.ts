import { getEventListeners } from 'node:events';
import { type Authenticator, AuthenticatorError, type Decision } from '@sallyport/authenticator';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Answer, type ChainContext, ChainError, chain, type Link } from './chain.ts';

const jane: Decision = { kind: 'authenticated', user: { username: 'jane' } };
const rejected: Decision = { kind: 'rejected', reason: 'revoked' };
const noOpinion: Decision = { kind: 'no-opinion' };
const outage = () => Promise.reject(new AuthenticatorError('unavailable', 'down'));

/** Notes in `asked` who was asked. */
function createLinks() {
  const asked: string[] = [];
  let time = 0;
  const link = (
    name: string,
    answer: () => Decision | Promise<Decision>,
    more: Partial<Authenticator & Link> = {},
  ): Link => ({
    name,
    onError: more.onError ?? 'continue',
    recognizes: more.recognizes ?? (() => true),
    authenticator: {
      authenticate: (): Promise<Decision> => {
        asked.push(name);
        return answer() as Promise<Decision>;
      },
      close: more.close ?? (async () => {}),
    },
  });
  const decideNow = (links: Link[], context: Partial<ChainContext> = {}) =>
    chain(links, () => time).authenticate('token', {
      audiences: [],
      signal: new AbortController().signal,
      ...context,
    });
  const run = async (links: Link[], context?: Partial<ChainContext>) => decideNow(links, context);
  return { asked, link, run, decideNow, pass: (milliseconds: number) => (time += milliseconds) };
}

function throwing(): never {
  throw new AuthenticatorError('unavailable', 'down');
}

async function failure(promise: Promise<unknown>): Promise<ChainError> {
  const error = await promise.catch((thrown: unknown) => thrown);
  if (!(error instanceof ChainError)) throw new Error('no ChainError', { cause: error });
  return error;
}

describe('the error', () => {
  test('names all that failed in order, and keeps their errors', async () => {
    const { link, run } = createLinks();
    const error = await failure(
      run([link('corp', outage), link('x', async () => noOpinion), link('robots', outage)]),
    );
    expect(error.message).toBe('authenticators corp, robots unavailable');
    expect(error.authenticators).toEqual(['corp', 'robots']);
    expect(error.errors.map(String)).toEqual([
      'AuthenticatorError: down',
      'AuthenticatorError: down',
    ]);
    expect(error).toBeInstanceOf(AggregateError);
  });

  test('does not keep what was thrown unless it is an error', async () => {
    const { link, run } = createLinks();
    const error = await failure(run([link('corp', () => Promise.reject('the-token'))]));
    expect(String(error.errors[0])).not.toContain('the-token');
  });
});

describe('recognition', () => {
  test('false is no opinion, without asking and without failing', async () => {
    const { asked, link, run } = createLinks();
    expect(await run([link('a', outage, { recognizes: () => false, onError: 'stop' })])).toEqual(
      noOpinion,
    );
    expect(asked).toEqual([]);
  });

  test('sees the token', async () => {
    const { link, run } = createLinks();
    expect(
      await run([link('a', async () => jane, { recognizes: (token) => token === 'token' })]),
    ).toBe(jane);
  });

  test.each([
    {
      case: 'throws',
      recognizes: () => {
        throw new Error('bad');
      },
    },
    { case: 'gives a promise', recognizes: () => Promise.resolve(false) as unknown as boolean },
    { case: 'gives nothing', recognizes: () => undefined as unknown as boolean },
  ])('that $case could not be checked', async ({ recognizes }) => {
    const { asked, link, run } = createLinks();
    expect(
      (await failure(run([link('a', async () => jane, { recognizes })]))).authenticators,
    ).toEqual(['a']);
    expect(asked).toEqual([]);
  });
});

describe("the review's abort", () => {
  test('ends the wait for one that does not look at its signal, and no one else is asked', async () => {
    const { asked, link, run } = createLinks();
    const controller = new AbortController();
    const hung = link('c', () => new Promise<Decision>(() => controller.abort()));
    const links = [
      link('a', outage),
      link('b', async () => noOpinion),
      hung,
      link('d', async () => jane),
    ];
    const error = await failure(run(links, { signal: controller.signal }));
    expect(error.authenticators).toEqual(['a', 'c']);
    expect(asked).toEqual(['a', 'b', 'c']);
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0);
  });

  test('between two answers names the one whose turn it was', async () => {
    const { asked, link, run } = createLinks();
    const controller = new AbortController();
    const last = link('a', async () => {
      controller.abort();
      return noOpinion;
    });
    const error = await failure(
      run([last, link('b', async () => jane)], { signal: controller.signal }),
    );
    expect(error.authenticators).toEqual(['a']);
    const late = await failure(run([link('b', async () => jane)], { signal: controller.signal }));
    expect(late.authenticators).toEqual(['b']);
    expect(asked).toEqual(['a']);
  });

  test('leaves no listener behind after an answer or a failure', async () => {
    const { link, run } = createLinks();
    const { signal } = new AbortController();
    await run([link('a', outage), link('b', async () => noOpinion), link('c', async () => jane)], {
      signal,
    });
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  });
});

describe('the listener', () => {
  test('gets each answer with its time', async () => {
    const { link, run, pass } = createLinks();
    const answers: Answer[] = [];
    const slow = link('b', async () => {
      pass(250);
      return jane;
    });
    const links = [
      link('x', async () => jane, { recognizes: () => false }),
      link('a', outage),
      slow,
    ];
    await run(links, { onAnswer: (answer) => answers.push(answer) });
    expect(answers).toEqual([
      { authenticator: 'x', seconds: 0, decision: noOpinion, recognized: false },
      { authenticator: 'a', seconds: 0, error: new AuthenticatorError('unavailable', 'down') },
      { authenticator: 'b', seconds: 0.25, decision: jane, recognized: true },
    ]);
  });
});

test('whatever the authenticators say, those in reach are asked in order, and the outcome is that of the rule', async () => {
  const script = fc.record({
    recognizes: fc.constantFrom(true, false, 'throws' as const),
    says: fc.constantFrom(
      'authenticated' as const,
      'rejected' as const,
      'no-opinion' as const,
      'throws' as const,
    ),
    onError: fc.constantFrom('continue' as const, 'stop' as const),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(script, { maxLength: 6 }), async (scripts) => {
      const { asked, link, run, decideNow } = createLinks();
      const answers = { authenticated: jane, rejected, 'no-opinion': noOpinion };
      const links = scripts.map(({ recognizes, says, onError }, index) =>
        link(String(index), says === 'throws' ? outage : async () => answers[says], {
          onError,
          recognizes: () => {
            if (recognizes === 'throws') throw new Error('bad shape');
            return recognizes;
          },
        }),
      );
      const outcome = await run(links).then(
        (decision) => decision.kind,
        (error: ChainError) => error.message,
      );
      const askedFirst = asked.splice(0);
      // Answers that are there already, and synchronous throws, make no difference, except that a decision needs no promise.
      const atHand = scripts.map(({ recognizes, says, onError }, index) =>
        link(String(index), says === 'throws' ? throwing : () => answers[says], {
          onError,
          recognizes: () => (recognizes === 'throws' ? throwing() : recognizes),
        }),
      );
      const known = decideNow(atHand);
      const knownOutcome =
        known instanceof Promise ? await known.catch((error: Error) => error.message) : known.kind;
      expect(knownOutcome).toBe(outcome);

      // The rule, without a loop: where it ends, and what failed up to there.
      const said = scripts.map((one) =>
        one.recognizes === false ? 'no-opinion' : one.recognizes === 'throws' ? 'throws' : one.says,
      );
      const isEnd = (word: string, index: number) =>
        word === 'authenticated' ||
        word === 'rejected' ||
        (word === 'throws' && scripts[index]?.onError === 'stop');
      const end = said.findIndex(isEnd);
      const reached = end === -1 ? said : said.slice(0, end + 1);
      const failed = reached.flatMap((word, index) => (word === 'throws' ? [String(index)] : []));
      const last = reached.at(-1);
      const error = `authenticator${failed.length === 1 ? '' : 's'} ${failed.join(', ')} unavailable`;
      const expected =
        last === 'authenticated' || last === 'rejected'
          ? last
          : failed.length > 0
            ? error
            : 'no-opinion';
      expect(outcome).toBe(expected);
      const recognized = reached.flatMap((_, index) =>
        scripts[index]?.recognizes === true ? [String(index)] : [],
      );
      expect([askedFirst, asked]).toEqual([recognized, recognized]);
    }),
    { numRuns: 500 },
  );
});
