import type { Authenticator, Decision, PluginContext, TokenIssuer } from '@sallyport/authenticator';
import {
  type RecordedLine,
  type RecordingContext,
  recordingContext,
} from '@sallyport/authenticator/conformance';
import { countingMetrics } from '@sallyport/test-servers/counting-metrics';
import { createRedisAuthenticator } from '../authenticator.ts';
import { createRedisTokenIssuer } from '../issuer/token-issuer.ts';
import { settled } from './written-options.ts';

/** A signal that is never aborted. */
export const never: AbortSignal = new AbortController().signal;

/** The side effects of the plugin. */
export interface Traces extends AsyncDisposable, Pick<RecordingContext, 'touch' | 'watchedFiles'> {
  readonly lines: readonly RecordedLine[];
  /** The metrics, with the keys of `countingMetrics`. */
  readonly values: ReadonlyMap<string, number>;
}

export interface StartedAuthenticator extends Traces {
  readonly authenticator: Authenticator;
  ask(token: string, signal?: AbortSignal): Promise<Decision>;
  check(): Promise<unknown>;
}

/** Longer than any answer takes. */
const patient = { commandTimeout: '30s' };

/**
 * Creates an authenticator with options of a config file. Disposing it closes it.
 *
 * @param now milliseconds since 1970
 */
export async function startAuthenticator(
  written: Record<string, unknown>,
  now?: () => number,
): Promise<StartedAuthenticator> {
  const { context, traces } = tracedContext();
  const authenticator = await createRedisAuthenticator(
    settled({ ...patient, ...written }),
    context,
    now,
  );
  return {
    ...traces,
    authenticator,
    ask: async (token, signal = never) =>
      authenticator.authenticate(token, { audiences: [], signal }),
    check: async () => await authenticator.check?.(never),
    [Symbol.asyncDispose]: () => authenticator.close(),
  };
}

export interface StartedIssuer extends Traces {
  readonly issuer: TokenIssuer;
}

/** Creates an issuer with options of a config file. Disposing it closes it. @param now milliseconds since 1970 */
export async function startIssuer(
  written: Record<string, unknown>,
  now?: () => number,
): Promise<StartedIssuer> {
  const { context, traces } = tracedContext();
  const issuer = await createRedisTokenIssuer(settled({ ...patient, ...written }), context, now);
  return { ...traces, issuer, [Symbol.asyncDispose]: () => issuer.close() };
}

/** The context of a plugin, and what the plugin does with it. */
export function tracedContext(): {
  context: PluginContext;
  traces: Omit<Traces, typeof Symbol.asyncDispose>;
} {
  const { context, lines, touch, watchedFiles } = recordingContext({
    pluginName: 'redis',
    baseDirectory: '/',
  });
  const { metrics, values } = countingMetrics();
  return { context: { ...context, metrics }, traces: { lines, touch, watchedFiles, values } };
}

export async function collect<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const all: Item[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** The outcome of a lookup: the kind of the decision with the reason of a rejection, or the code of an error. */
export async function outcomeOf(work: Promise<Decision>): Promise<string> {
  try {
    const decision = await work;
    return decision.kind === 'rejected' ? `rejected: ${decision.reason}` : decision.kind;
  } catch (error) {
    return String((error as { code?: unknown }).code ?? error);
  }
}
