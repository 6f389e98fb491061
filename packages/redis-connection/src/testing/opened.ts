import { randomUUID } from 'node:crypto';
import { inspect } from 'node:util';
import {
  type RecordedLine,
  type RecordingContext,
  recordingContext,
} from '@sallyport/authenticator/conformance';
import { countingMetrics } from '@sallyport/test-servers/counting-metrics';
import type { RedisServer } from '@sallyport/test-servers/redis';
import {
  connect,
  type RedisConnection,
  RedisProblem,
  readValue,
  stringUpTo,
  type Wording,
} from '../index.ts';
import { settled } from './written-options.ts';

/** A signal that is never aborted. */
export const never: AbortSignal = new AbortController().signal;

/** Longer than any value of these tests. */
const text = stringUpTo(1024);

export const wording: Wording = {
  minimalAcl: 'the minimal ACL in its docs',
  wrongType: 'than was looked for',
  consequence: 'nothing can be read',
};

/** A connection with its log lines and metrics. */
export interface Opened extends AsyncDisposable, Pick<RecordingContext, 'touch'> {
  readonly connection: RedisConnection;
  readonly lines: readonly RecordedLine[];
  /** Metrics: `errors_total{kind=timeout}`. */
  readonly values: ReadonlyMap<string, number>;
  /** The text at a key, or null. @param timeout milliseconds, as for `run` */
  read(key: string, signal?: AbortSignal, timeout?: number): Promise<unknown>;
}

/** Connects with options of a config file, with a timeout that no answer takes. Disposing it closes the connection. */
export async function open(written: object): Promise<Opened> {
  const { context, lines, touch } = recordingContext({ pluginName: 'redis', baseDirectory: '/' });
  const { metrics, values } = countingMetrics();
  const connection = await connect(settled({ commandTimeout: '30s', ...written }), wording, {
    ...context,
    metrics,
  });
  return {
    connection,
    lines,
    touch,
    values,
    async read(key, signal = never, timeout) {
      const work = connection.run((client) => readValue(client, text, key), signal, timeout);
      return (await work).reply;
    },
    [Symbol.asyncDispose]: () => connection.close(),
  };
}

/** The value of each key of `storeKey`. */
export const content = 'found';

/** Stores a value. @returns its key */
export async function storeKey(redis: RedisServer): Promise<string> {
  const key = newKey();
  await redis.client().set(key, content);
  return key;
}

/** A key without a value. */
export function newKey(): string {
  return `key:${randomUUID()}`;
}

/** The outcome of `read` in a word: the text, or `nothing`, or `problem`. */
export async function outcomeOf(reading: Promise<unknown>): Promise<string> {
  try {
    return String((await reading) ?? 'nothing');
  } catch (error) {
    return error instanceof RedisProblem ? 'problem' : String(error);
  }
}

/** Everything that a value reveals: properties of an error, its causes, hidden properties. */
export function revealed(value: unknown): string {
  return inspect(value, {
    showHidden: true,
    depth: 20,
    maxStringLength: null,
    maxArrayLength: null,
  });
}
