import { inspect } from 'node:util';
import type { Authenticator } from '../authenticator.ts';
import type { Decision } from '../decision.ts';
import type { DeniedAttempt } from '../plugin.ts';
import { type RecordingContext, recordingContext } from './context.ts';
import type { ConformanceBackend, ConformanceHarness } from './harness.ts';
import { secretFinder } from './leaks.ts';
import { listSecrets, type NamedToken, nameSamples, type Samples } from './samples.ts';
import { type CallResult, catchOutcome, fail, verify, withTimeout } from './verify.ts';

/** One case of the kit, before it is bound to a harness. */
export interface CaseDefinition {
  readonly name: string;
  /** The case is skipped where the harness says that there is no backend. */
  readonly needsBackend?: true;
  /**
   * The case is left out where the harness says that the authenticator does not have this method. `directory`: both, so that it
   * can be the `directory` of other authenticators.
   */
  readonly needs?: 'lookUp' | 'revalidate' | 'directory';
  run(kit: Kit): Promise<void>;
}

export interface AskOptions {
  readonly audiences?: readonly string[];
  readonly signal?: AbortSignal;
}

/** A kit is what one case works with. */
export interface Kit {
  readonly harness: ConformanceHarness<unknown>;
  /** Milliseconds that one call may take. */
  readonly deadline: number;
  readonly tokens: Samples;
  /** The context of each authenticator, in the order of their creation. */
  readonly recordings: readonly RecordingContext[];
  /** Creates an authenticator, which is closed when the case has ended, however it ended. */
  create(settings?: { readonly deny?: DeniedAttempt['reason'] }): Promise<Authenticator>;
  /** Asks as the gateway does: a token that is not recognized gets no opinion. It fails when the answer takes too long. */
  outcome(
    authenticator: Authenticator,
    token: NamedToken,
    options?: AskOptions,
  ): Promise<CallResult<Decision>>;
  /** Asks as `outcome` does, and fails when the authenticator throws. */
  ask(authenticator: Authenticator, token: NamedToken, options?: AskOptions): Promise<Decision>;
  /** Waits for another call, and fails when it takes too long. */
  timed<Value>(expectation: string, call: () => Value | Promise<Value>): Promise<CallResult<Value>>;
  /** Returns the backend, for cases that need one. It is started again when the case has ended. */
  backend(): Required<ConformanceBackend>;
  close(authenticator: Authenticator): Promise<void>;
  /** @throws AssertionError when an authenticator can't be closed */
  end(): Promise<void>;
  /** Formats a value for a message, on one line and without any token or password. */
  show(value: unknown): string;
  /** Fails when a value contains a token or a password, at any depth. @param place names what is searched */
  mustBeSilent(place: string, value: unknown): void;
}

export function createKit(harness: ConformanceHarness<unknown>): Kit {
  const { deadline = 3_000 } = harness;
  const tokens = nameSamples(harness);
  const { find, redact } = secretFinder(listSecrets(harness, tokens));
  const show = (value: unknown) => formatValue(value, redact);
  const ended = new AbortController();
  let restart = async () => {};

  const timed: Kit['timed'] = (expectation, call) =>
    withTimeout(deadline, catchOutcome(call), {
      expected: `${expectation} within ${deadline}ms`,
      actual: 'nothing came',
      rationale:
        'A call that takes longer than the deadline is an outage to the gateway, and holds its slot until it ends. If only this machine is slow, raise `deadline` in the harness.',
    });

  const { closeAll, ...authenticators } = createAuthenticators(harness, show, timed);

  const outcome: Kit['outcome'] = (authenticator, { name, token }, options = {}) => {
    const { audiences = [], signal = ended.signal } = options;
    return timed(`the answer to ${name}`, () => {
      if (authenticator.recognizes?.(token) === false) return { kind: 'no-opinion' };
      return authenticator.authenticate(token, { audiences, signal });
    });
  };

  return {
    harness,
    deadline,
    tokens,
    ...authenticators,
    outcome,
    timed,
    show,
    async ask(authenticator, token, options) {
      const answer = await outcome(authenticator, token, options);
      if ('value' in answer) return answer.value;
      const rationale =
        'A throw is an outage to the gateway: some of them open the circuit for all users.';
      return fail({
        expected: `a decision about ${token.name}`,
        actual: `authenticate() threw ${show(answer.error)}`,
        rationale,
      });
    },
    backend() {
      const requiredBackend = requireBackend(harness);
      restart = requiredBackend.start;
      return requiredBackend;
    },
    async end() {
      ended.abort(new Error('the case has ended'));
      await restart();
      await closeAll();
    },
    mustBeSilent(place, value) {
      const leaks = find(value);
      const actual = `${leaks.join(' and ')} is in it, as it is or encoded`;
      const rationale =
        'It reaches logs, and people who may read logs but must not act as these users.';
      verify(leaks.length === 0, { expected: `${place} to carry no secret`, actual, rationale });
    },
  };
}

function formatValue(value: unknown, redact: (text: string) => string): string {
  const inspectOptions = { depth: 4, breakLength: Number.POSITIVE_INFINITY, maxStringLength: null };
  const text =
    value instanceof Error ? `${value.name}: ${value.message}` : inspect(value, inspectOptions);
  // It is redacted before it is cut, since a part of a secret would not be found.
  const quiet = redact(text).replace(/\s+/g, ' ');
  return quiet.length > 500 ? `${quiet.slice(0, 500)}…` : quiet;
}

/** Creates and closes the authenticators of one case, and records what each of them reports. */
function createAuthenticators(
  harness: ConformanceHarness<unknown>,
  show: Kit['show'],
  timed: Kit['timed'],
) {
  const { plugin, baseDirectory } = harness;
  const recordings: RecordingContext[] = [];
  const open = new Set<Authenticator>();

  const create: Kit['create'] = async (settings = {}) => {
    const recording = recordingContext({ pluginName: plugin.name, baseDirectory, ...settings });
    recordings.push(recording);
    const options = await validOptions(harness, show);
    const created = await timed('create()', async () => {
      const authenticator = await plugin.create(options, recording.context);
      open.add(authenticator);
      return authenticator;
    });
    if ('value' in created) return created.value;
    return fail({
      expected: 'create() to succeed with the good options',
      actual: `it threw ${show(created.error)}`,
      rationale:
        'Nothing works without an authenticator; authenticate() and check() report that a backend is down.',
    });
  };

  const close: Kit['close'] = async (authenticator) => {
    open.delete(authenticator);
    const closed = await timed('close()', () => authenticator.close());
    verify('value' in closed, {
      expected: 'close() to resolve',
      actual: `it threw ${show('error' in closed && closed.error)}`,
      rationale:
        'A config reload closes the old authenticators, and the gateway waits for them when it stops.',
    });
  };

  async function closeAll(): Promise<void> {
    const closed = await Promise.allSettled([...open].map(close));
    for (const result of closed) if (result.status === 'rejected') throw result.reason;
  }

  return { recordings, create, close, closeAll };
}

function requireBackend({ backend }: ConformanceHarness<unknown>): Required<ConformanceBackend> {
  const rationale = 'This case makes an outage.';
  verify(!('none' in backend), {
    expected: 'a backend',
    actual: 'the harness has none',
    rationale,
  });
  return {
    stop: () => backend.stop(),
    start: () => backend.start(),
    hang: async () => {
      const fix = "Skip the case with a reason if the backend can't be made to hang.";
      verify(backend.hang, {
        expected: 'the harness to have backend.hang()',
        actual: 'it is left out',
        rationale: fix,
      });
      await backend.hang();
    },
  };
}

async function validOptions(
  { plugin, options }: ConformanceHarness<unknown>,
  show: Kit['show'],
): Promise<unknown> {
  const result = await plugin.optionsSchema['~standard'].validate(options);
  if (result.issues === undefined) return result.value;
  return fail({
    expected: 'optionsSchema to accept the good options',
    actual: `it says ${show(result.issues.map(({ message }) => message))}`,
    rationale: 'The gateway does not start with options that it refuses.',
  });
}

/** Makes a case about one authenticator, which is created first. */
export function authenticatorCase(
  name: string,
  run: (kit: Kit, authenticator: Authenticator) => Promise<void>,
  requirements: Pick<CaseDefinition, 'needs' | 'needsBackend'> = {},
): CaseDefinition {
  return { name, ...requirements, run: async (kit) => run(kit, await kit.create()) };
}

/** The answers that `answersCase` makes a case of. */
interface ExpectedAnswers<Token extends NamedToken> {
  readonly tokens: (kit: Kit) => readonly Token[];
  readonly audiences?: readonly string[];
  /** @returns what was expected of a wrong answer, to follow the name of the token; undefined for a right answer */
  readonly expectedInstead: (decision: Decision, token: Token, kit: Kit) => string | undefined;
  readonly rationale: string;
}

/** Makes a case that asks one authenticator about tokens, one after the other. */
export function answersCase<Token extends NamedToken>(
  name: string,
  answers: ExpectedAnswers<Token>,
): CaseDefinition {
  const { tokens, audiences = [], expectedInstead, rationale } = answers;
  return authenticatorCase(name, async (kit, authenticator) => {
    for (const token of tokens(kit)) {
      const decision = await kit.ask(authenticator, token, { audiences });
      const expected = expectedInstead(decision, token, kit);
      verify(expected === undefined, () => ({
        expected: `${token.name} ${expected}`,
        actual: `the answer was ${kit.show(decision)}`,
        rationale,
      }));
    }
  });
}
