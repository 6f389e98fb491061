import { randomBytes } from 'node:crypto';
import {
  type Authenticator,
  AuthenticatorError,
  type PluginContext,
} from '@sallyport/authenticator';
import { knownMasters, type Redis, RedisProblem } from '@sallyport/redis-connection';
import { decideByRecord } from './decide.ts';
import type { RedisOptions } from './options.ts';
import { type FoundRecord, ignoreMoved, openStore, readRecord, type Store } from './store.ts';
import { digestToken, isOwnToken, mistakeIn, tokenShape } from './token.ts';
import { createSessionExtender, createUseNotes } from './uses.ts';

/**
 * Looks tokens up by their digest.
 *
 * @param now milliseconds since 1970
 * @throws Error when a TLS file can't be used
 */
export async function createRedisAuthenticator(
  options: RedisOptions,
  context: PluginContext,
  now: () => number = Date.now,
): Promise<Authenticator> {
  const shape = tokenShape(options.token);
  const store = await openStore(options, options.connection, context, now);
  const { unknown: unknownToken, trackLastUse } = options;
  const noteUse =
    trackLastUse === undefined ? undefined : createUseNotes(trackLastUse, store, context.logger);
  const extendSession = createSessionExtender(store, context.logger);
  return {
    ...(shape.prefix !== undefined && { tokenPrefix: shape.prefix }),
    tokenStore: storeName(options, store),
    recognizes: shape.matches,
    whyUnrecognized: shape.whyNot,
    isIssued: isOwnToken,
    async authenticate(token, { signal, trace }) {
      signal.throwIfAborted();
      if (!shape.matches(token)) return { kind: 'no-opinion' };
      const digest = digestToken(token);
      const stored = await lookUp(digest, store, signal);
      if (stored === undefined) {
        trace?.(noRecord(token, shape.prefix));
        return unknownToken === 'rejected'
          ? { kind: 'rejected', reason: 'invalid-credentials' }
          : { kind: 'no-opinion' };
      }
      const decision = decideByRecord(stored.record, stored.keyExpiresAt, now());
      if (decision.kind === 'authenticated') {
        extendSession(digest, stored);
        noteUse?.(digest, decision.expiresAt?.getTime());
      }
      return decision;
    },
    check: (signal) => checkServers(store, noteUse !== undefined, signal),
    close: () => store.connection.close(),
  };
}

function storeName(
  { connection: { servers }, keyPrefix }: RedisOptions,
  { connection }: Store,
): string {
  const database = servers.kind === 'cluster' ? 0 : servers.database;
  return `${connection.name}, database ${database}, keys ${keyPrefix}*`;
}

function noRecord(token: string, prefix: string | undefined): string {
  // Tokens of another system may have any shape behind the prefix.
  const mistake = prefix === undefined ? undefined : mistakeIn(token, prefix);
  const hint = mistake === undefined ? '' : `. If Sallyport issued it: it ${mistake}`;
  return `Redis has no record of the token${hint}`;
}

/**
 * Looks a token up.
 *
 * @param digest the digest of the token
 * @returns undefined when Redis has no record of it
 * @throws AuthenticatorError `failed` for an invalid record, when one node of a cluster is unreachable and when this machine ran
 *   out of a resource; `unavailable` for all other problems of Redis
 * @throws the signal's reason when it is aborted
 */
export async function lookUp(
  digest: string,
  store: Store,
  signal: AbortSignal,
): Promise<FoundRecord | undefined> {
  const stored = await readRecord(digest, store, signal).catch((error: unknown) => {
    if (!(error instanceof RedisProblem)) throw error;
    // Tokens on the other nodes of a cluster can still be looked up, and a shortage of this machine says nothing about
    // Redis. In both cases the circuit must stay closed.
    const isOfThisTokenAlone = error.kind === 'node' || error.kind === 'local';
    throw new AuthenticatorError(isOfThisTokenAlone ? 'failed' : 'unavailable', error.message);
  });
  if (stored === undefined || 'record' in stored) return stored;
  const record = `the record of the token with the SHA-256 ${digest}`;
  throw new AuthenticatorError('failed', `${record} is bad: ${stored.problem}`);
}

/**
 * Looks up a token that does not exist at every server that a login may use. So it also finds missing rights.
 *
 * @throws Error with the problems of all servers
 */
async function checkServers(
  { connection, layout, keys }: Store,
  tracksLastUse: boolean,
  signal: AbortSignal,
): Promise<void> {
  const digest = randomBytes(32).toString('hex');
  const key = keys.record(digest);

  async function ask(node: Redis): Promise<void> {
    const answers: readonly Promise<unknown>[] = [
      node.call(...layout.query(key)),
      node.pttl(key),
      node.echo(key),
      ...(tracksLastUse ? [node.set(keys.lastUse(digest), '', 'PX', 1)] : []),
    ];
    await Promise.all(answers.map((answer) => answer.catch(ignoreMoved)));
  }

  async function findProblems(node: Redis): Promise<readonly string[]> {
    const { host = '', port = '' } = node.options;
    return await ask(node).then(
      () => [],
      (error: unknown) => [`${host}:${port}: ${connection.describeProblem(error, host)}`],
    );
  }

  const problems = await connection.run(async (client) => {
    const nodes = await knownMasters(client);
    if (nodes.length > 1) return (await Promise.all(nodes.map(findProblems))).flat();
    // The message of an error has the name of the only server already.
    await Promise.all(nodes.map(ask));
    return [];
  }, signal);
  if (problems.length > 0) throw new Error(`${connection.name}: ${problems.join('; ')}`);
}
