import { inspect } from 'node:util';
import type { DeniedAttempt } from '../attempts.ts';
import type { Authenticator } from '../authenticator.ts';
import type { Decision } from '../decision.ts';
import { type RecordingContext, recordingContext } from './context.ts';
import type { ConformanceBackend, ConformanceHarness } from './harness.ts';
import type { NamedToken } from './hostile-tokens.ts';
import { type NamedSecret, secretFinder } from './leaks.ts';
import { type Samples, samplesOf, secretsOf } from './samples.ts';
import { type Complaint, fail, type Outcome, outcomeOf, verify, within } from './verdict.ts';

export interface AskOptions {
  readonly audiences?: readonly string[];
  readonly signal?: AbortSignal;
}

/** What one case works with. Authenticators made by it are closed when the case has ended, however it ended. */
export class Kit {
  readonly harness: ConformanceHarness<unknown>;
  /** Milliseconds. */
  readonly deadline: number;
  /** Milliseconds. */
  readonly recoverWithin: number;
  readonly tokens: Samples;
  readonly secrets: readonly NamedSecret[];
  /** One for each authenticator, in the order they were made. */
  readonly recordings: RecordingContext[] = [];
  readonly #redact: (text: string) => string;
  readonly #open = new Set<Authenticator>();
  readonly #ended = new AbortController();
  #restart: () => Promise<void> = async () => {};

  constructor(harness: ConformanceHarness<unknown>) {
    this.harness = harness;
    this.deadline = harness.deadline ?? 3_000;
    this.recoverWithin = harness.recoverWithin ?? 5_000;
    this.tokens = samplesOf(harness);
    this.secrets = secretsOf(harness, this.tokens);
    this.#redact = secretFinder(this.secrets).redact;
  }

  async create(settings: { readonly deny?: DeniedAttempt['reason'] } = {}): Promise<Authenticator> {
    const { plugin, baseDirectory } = this.harness;
    const recording = recordingContext({ pluginName: plugin.name, baseDirectory, ...settings });
    this.recordings.push(recording);
    const options = await this.#goodOptions();
    const made = await this.#timed('create()', async () => {
      const authenticator = await plugin.create(options, recording.context);
      this.#open.add(authenticator);
      return authenticator;
    });
    if ('value' in made) return made.value;
    return fail({
      expected: 'create() to succeed with the good options',
      got: `it threw ${this.tell(made.error)}`,
      why: 'Nothing works without an authenticator; that a backend is down is told by authenticate() and check().',
    });
  }

  /** Asks as the gateway does: what is not recognised is no opinion. Fails when the answer takes too long. */
  async outcome(
    authenticator: Authenticator,
    { name, token }: NamedToken,
    options: AskOptions = {},
  ): Promise<Outcome<Decision>> {
    const { audiences = [], signal = this.#ended.signal } = options;
    return await this.#timed(`the answer to ${name}`, () => {
      if (authenticator.recognizes?.(token) === false) return { kind: 'no-opinion' };
      return authenticator.authenticate(token, { audiences, signal });
    });
  }

  /** The same, for cases in which a throw is a failure. */
  async ask(authenticator: Authenticator, token: NamedToken, options?: AskOptions): Promise<Decision> {
    const answer = await this.outcome(authenticator, token, options);
    if ('value' in answer) return answer.value;
    return fail({
      expected: `a decision about ${token.name}`,
      got: `authenticate() threw ${this.tell(answer.error)}`,
      why: 'A throw means that the token could not be checked: the user is told of an outage.',
    });
  }

  /** Only for cases that need one. It is started again when the case has ended. */
  backend(): Required<ConformanceBackend> {
    const { backend } = this.harness;
    const why = 'This case makes an outage.';
    verify(!('none' in backend), { expected: 'a backend', got: 'the harness has none', why });
    this.#restart = () => backend.start();
    return {
      stop: () => backend.stop(),
      start: () => backend.start(),
      hang: async () => {
        const mend = 'Skip the case with a reason if the backend can not be made to hang.';
        verify(backend.hang, { expected: 'the harness to have backend.hang()', got: 'it is left out', why: mend });
        await backend.hang();
      },
    };
  }

  async close(authenticator: Authenticator): Promise<void> {
    this.#open.delete(authenticator);
    const closed = await this.#timed('close()', () => authenticator.close());
    if ('value' in closed) return;
    fail({
      expected: 'close() to resolve',
      got: `it threw ${this.tell(closed.error)}`,
      why: 'A config reload closes the old authenticators, and the gateway waits for them when it stops.',
    });
  }

  /** @throws AssertionError when an authenticator can't be closed */
  async end(): Promise<void> {
    this.#ended.abort(new Error('the case has ended'));
    await this.#restart();
    const closed = await Promise.allSettled([...this.#open].map((authenticator) => this.close(authenticator)));
    for (const result of closed) if (result.status === 'rejected') throw result.reason;
  }

  /** A value for a message, on one line and without any token or password. */
  tell(value: unknown): string {
    const text = value instanceof Error ? `${value.name}: ${value.message}` : inspectWhole(value);
    // Redacted before it is cut: a part of a secret would not be found.
    const quiet = this.#redact(text).replace(/\s+/g, ' ');
    return quiet.length > 500 ? `${quiet.slice(0, 500)}…` : quiet;
  }

  async #goodOptions(): Promise<unknown> {
    const result = await this.harness.plugin.optionsSchema['~standard'].validate(this.harness.options);
    if (result.issues === undefined) return result.value;
    return fail({
      expected: 'optionsSchema to take the good options',
      got: `it says ${this.tell(result.issues.map(({ message }) => message))}`,
      why: 'The gateway does not start with options that it refuses.',
    });
  }

  async #timed<Value>(what: string, call: () => Value | Promise<Value>): Promise<Outcome<Value>> {
    const complaint: Complaint = {
      expected: `${what} within ${this.deadline} ms`,
      got: 'nothing came',
      why: 'What takes longer than the deadline is an outage to the gateway, and keeps its place until it ends.',
    };
    return await within(this.deadline, outcomeOf(call), complaint);
  }
}

function inspectWhole(value: unknown): string {
  return inspect(value, { depth: 4, breakLength: Number.POSITIVE_INFINITY, maxStringLength: null });
}
