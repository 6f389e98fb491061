import { randomBytes } from 'node:crypto';
import {
  type AuthenticateContext,
  type Authenticator,
  AuthenticatorError,
  type Metrics,
  type PluginContext,
} from '@sallyport/authenticator';
import { durationText, watchTlsFiles } from '@sallyport/plugin-kit';
import { type AnswerKind, decideByAnswer, type PeerOutcome } from './decide.ts';
import { bearerPattern, type WebhookOptions } from './options.ts';
import { createPeer, type Peer, peerName } from './peer.ts';
import { createRecognizer, whyUnrecognized } from './recognition.ts';

/** A review that was forwarded this often goes round in a circle. */
const maxHops = 3;

/** The header that says how often a review was forwarded. The gateway reads it, too. */
const hopsHeader = 'sallyport-hops';

/** The maximum size of `bearerFile`, in bytes. */
const bearerFileLimit = 64 * 1024;

/**
 * Asks another webhook, or the TokenReview API of a cluster, about the tokens that it issued.
 *
 * @throws Error when a file can't be used
 */
export async function createWebhookAuthenticator(
  options: WebhookOptions,
  context: PluginContext,
): Promise<Authenticator> {
  const { url, timeout, maxResponseSize, maxConnections } = options;
  warnOfLateTimeout(timeout, context);
  const recognizes = createRecognizer(options.recognizes);
  const metrics = createMetrics(context.metrics);
  let peer: Peer | undefined;
  const tls = await watchTlsFiles(options.tls, context, () => peer?.renew());
  const bearer = await openBearer(options.bearer, context.watchFile);
  const openedPeer = createPeer({
    url,
    tls,
    timeout,
    maxResponseSize,
    maxConnections,
    onRepeat: metrics.onRepeat,
  });
  peer = openedPeer;

  async function ask(
    token: string,
    { audiences, signal, hops = 0 }: ReviewContext,
  ): Promise<PeerOutcome> {
    const { kind } = options.audiences;
    const sentAudiences =
      kind === 'own' ? options.audiences.audiences : kind === 'pass' ? audiences : [];
    const review = JSON.stringify({
      apiVersion: `authentication.k8s.io/${options.version}`,
      kind: 'TokenReview',
      spec: { token, ...(sentAudiences.length > 0 && { audiences: sentAudiences }) },
    });
    const headers = { ...bearer(), [hopsHeader]: `${hops + 1}` };
    const end = metrics.begin();
    try {
      const outcome = decideByAnswer(
        await openedPeer.ask(review, headers, signal),
        sentAudiences,
        options,
      );
      end(outcome.answer);
      return outcome;
    } catch (error) {
      end('unusable');
      throw error;
    }
  }

  return {
    ...findTokenPrefix(options.recognizes),
    recognizes,
    whyUnrecognized: (token) => whyUnrecognized(options.recognizes, token),
    async authenticate(token, callContext) {
      if (!recognizes(token)) return { kind: 'no-opinion' };
      if ((callContext.hops ?? 0) >= maxHops) throw createLoopError(url);
      const outcome = await ask(token, callContext);
      callContext.trace?.(`${peerName(url)}: ${outcome.explanation}`);
      if ('decision' in outcome) return outcome.decision;
      throw new AuthenticatorError(outcome.error, `${peerName(url)}: ${outcome.explanation}`);
    },
    check: (signal) => check(options, context, (token) => ask(token, { audiences: [], signal })),
    close: async () => openedPeer.close(),
  };
}

/** The gateway ends the review first, with a message that does not name the peer. */
function warnOfLateTimeout(timeout: number, { timeout: limit, logger }: PluginContext): void {
  if (limit === undefined || timeout < limit) return;
  const fields = { 'options.timeout': durationText(timeout), timeout: durationText(limit) };
  const late =
    'options.timeout is not less than timeout of the authenticator, which ends each review first';
  logger.warn(fields, `${late}. Lower it, or raise timeout next to use`);
}

type ReviewContext = Pick<AuthenticateContext, 'audiences' | 'signal' | 'hops'>;

/** Makes the error for a review that goes round. It is `failed`: it concerns this token, and says nothing of the peer. */
function createLoopError(url: URL): AuthenticatorError {
  const problem = `the review was forwarded ${maxHops} times before, so it may go round: let no two gateways forward the same tokens to each other`;
  return new AuthenticatorError('failed', `${peerName(url)}: not asked, since ${problem}`);
}

function findTokenPrefix({ prefixes, issuers, pattern }: WebhookOptions['recognizes']) {
  const [prefix, ...otherPrefixes] = prefixes;
  const isOnly = otherPrefixes.length === 0 && issuers.length === 0 && pattern === undefined;
  return prefix !== undefined && isOnly ? { tokenPrefix: prefix } : {};
}

/** Opens the token for the peer itself. @returns a function that returns the header in force */
async function openBearer(
  bearer: WebhookOptions['bearer'],
  watchFile: PluginContext['watchFile'],
): Promise<() => Readonly<Record<string, string>>> {
  if (bearer === undefined) return () => ({});
  if ('token' in bearer) return () => ({ authorization: `Bearer ${bearer.token}` });
  let token: string | undefined;
  const load = (content: Buffer) => {
    const text = content.toString().trim();
    if (!bearerPattern.test(text))
      throw new Error('bearerFile has no token: it must be one line of visible ASCII');
    token = text;
  };
  await watchFile(bearer.file, load, { secret: true, limit: bearerFileLimit });
  return () => {
    // Only `sallyport check` goes on with a file that could not be loaded, and asks nothing.
    if (token === undefined)
      throw new AuthenticatorError('unavailable', 'bearerFile was not loaded');
    return { authorization: `Bearer ${token}` };
  };
}

/** Sends a made-up token, which must not be accepted. */
async function check(
  options: WebhookOptions,
  { logger }: PluginContext,
  ask: (token: string) => Promise<PeerOutcome>,
): Promise<void> {
  const { url, recognizes, mode, tls } = options;
  const outcome = await ask((recognizes.prefixes[0] ?? '') + randomBytes(32).toString('base64url'));
  if (outcome.answer === 'authenticated') {
    throw new Error(
      `${peerName(url)}: it accepts a forged token, so it lets everyone in: check the URL`,
    );
  }
  const warn = (message: string) => logger.warn({ url: peerName(url) }, message);
  if (outcome.answer === 'error' && 'error' in outcome) {
    warn(
      'the webhook reports an error for a made-up token: if it does so for every bad token, set onError',
    );
  } else if ('error' in outcome) {
    const isRefused = outcome.answer === 'unauthorized' && mode === 'webhook';
    const fix =
      ' to a made-up token: check bearer and certFile, or set onUnauthorized if it refuses bad tokens so';
    throw new AuthenticatorError(
      'unavailable',
      `${peerName(url)}: ${outcome.explanation}${isRefused ? fix : ''}`,
    );
  } else if (
    outcome.answer === 'unauthorized' &&
    tls.certFile !== undefined &&
    !options.isUnauthorizedSet
  ) {
    warn(
      'the webhook answers 400, 401 or 403 to a made-up token: if it means the client certificate, set onUnauthorized: unavailable, else no-opinion',
    );
  }
}

function createMetrics(metrics: Metrics) {
  const answers = metrics.counter({
    name: 'answers_total',
    help: 'Answers of the other webhook, by what they say: authenticated, unauthenticated, unauthorized (400, 401, 403), error (it could not check), unusable (no answer, or another one).',
    labelNames: ['answer'],
  });
  const seconds = metrics.histogram({
    name: 'request_seconds',
    help: 'Time of a request to the other webhook, with the wait for a connection. A rise: it is slow, or maxConnections is too small.',
  });
  const repeats = metrics.counter({
    name: 'repeats_total',
    help: 'Reviews that were sent a second time, since a connection that had been used before was closed before an answer began.',
  });
  return {
    onRepeat: () => repeats.inc(),
    /** @returns a function for the end of the request */
    begin() {
      const start = performance.now();
      return (answer: AnswerKind) => {
        answers.inc({ answer });
        seconds.observe({}, (performance.now() - start) / 1000);
      };
    },
  };
}
