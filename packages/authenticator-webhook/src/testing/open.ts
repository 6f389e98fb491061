import type { AuthenticateContext, Authenticator, Decision } from '@sallyport/authenticator';
import { AuthenticatorError } from '@sallyport/authenticator';
import { type RecordingContext, recordingContext } from '@sallyport/authenticator/conformance';
import { onTestFinished } from 'vitest';
import plugin from '../index.ts';
import { settled } from './written-options.ts';

export interface Opened {
  readonly authenticator: Authenticator;
  readonly recorded: RecordingContext;
  ask(token: string, context?: Partial<AuthenticateContext>): Promise<Decision>;
  /** The code and the message of the error of `ask`. */
  failure(
    token: string,
    context?: Partial<AuthenticateContext>,
  ): Promise<{ code: string; message: string }>;
}

/** An authenticator of a test, closed at its end. */
export async function open(written: object): Promise<Opened> {
  const recorded = recordingContext({ pluginName: 'webhook', baseDirectory: '/' });
  const authenticator = await plugin.create(settled(written), recorded.context);
  onTestFinished(() => authenticator.close());
  const ask: Opened['ask'] = async (token, context = {}) =>
    authenticator.authenticate(token, {
      audiences: [],
      signal: new AbortController().signal,
      ...context,
    });
  return {
    authenticator,
    recorded,
    ask,
    async failure(token, context) {
      const error = await ask(token, context).then(
        (decision) => decision,
        (thrown: unknown) => thrown,
      );
      if (!AuthenticatorError.is(error))
        throw new Error(`not an AuthenticatorError: ${JSON.stringify(error)}`);
      if (error.cause !== undefined)
        throw new Error('an error of a peer has a cause: it may have the answer in it');
      return { code: error.code, message: error.message };
    },
  };
}
