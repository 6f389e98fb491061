import type {
  Authenticated,
  Authenticator,
  Decision,
  Logger,
  PluginContext,
} from '@sallyport/authenticator';
import { isExpired, type LoadedFile, lookUpTokenUser } from './look-up.ts';
import type { StaticOptions } from './options.ts';
import { readTokenAuthFile } from './token-auth-file.ts';
import {
  blind,
  digestToken,
  type FileProblem,
  type FileToken,
  TokenFileError,
  type TokenSet,
} from './token-file.ts';
import { readTokensFile } from './tokens-file.ts';

interface TokenSource {
  readonly file: string;
  /** Whether the file contains tokens in clear text. */
  readonly secret: boolean;
  read(file: string, content: Buffer): Promise<TokenSet>;
}

/**
 * Creates an authenticator without `recognizes`, since a static token may be any text. It has no `check`, since there is
 * no backend: a file that can't be read makes `create` fail, or is logged when it changes.
 *
 * @param now wall clock, milliseconds since 1970
 * @throws TokenFileError
 */
export async function createStaticAuthenticator(
  options: StaticOptions,
  context: PluginContext,
  now: () => number = Date.now,
): Promise<Authenticator> {
  const sources = listSources(options);
  const latest = new Map<TokenSource, TokenSet>();
  let active: readonly LoadedFile[] = [];

  for (const source of sources) {
    const load = async (content: Buffer) => {
      // It is stored even if the other file still has one of its tokens: once that is removed, both take effect.
      const tokens = await source.read(source.file, content);
      warnOfRecords({ file: source.file, tokens }, now(), context.logger);
      latest.set(source, tokens);
      if (latest.size < sources.length) return;
      refuseShared(latest);
      active = [...latest].map(([{ file }, tokenSet]) => ({ file, tokens: tokenSet }));
      const count = active.reduce((sum, { tokens: tokenSet }) => sum + tokenSet.size, 0);
      context.logger.info({ file: source.file, tokens: count }, 'static tokens loaded');
    };
    await context.watchFile(source.file, load, { secret: source.secret });
  }

  return {
    authenticate(token, { signal }) {
      signal.throwIfAborted();
      // In UTF-8, all unpaired surrogates become U+FFFD, so different tokens would be the same.
      if (!token.isWellFormed()) return noOpinion;
      const key = blind(digestToken(token));
      for (const { tokens } of active) {
        const record = tokens.get(key);
        if (record !== undefined) return decideByToken(record, now());
      }
      return noOpinion;
    },
    *knownUsers() {
      for (const { tokens } of active) for (const { user } of tokens.values()) yield user;
    },
    async lookUp(username, { signal, trace }) {
      signal.throwIfAborted();
      return lookUpTokenUser(active, username, now(), trace);
    },
    async close() {},
  };
}

/** Lines of tokens that are listed. */
const maxListed = 10;

/** Warns early of tokens that have expired, or lack groups: an emergency token is not tried before the emergency. */
function warnOfRecords({ file, tokens }: LoadedFile, now: number, logger: Logger): void {
  const warn = (warning: string, isMeant: (record: FileToken) => boolean) => {
    const records = [...tokens.values()].filter(isMeant);
    if (records.length === 0) return;
    const listed = records.slice(0, maxListed).map(({ line }) => line);
    const lines = listed.join(', ') + (records.length > maxListed ? ', ...' : '');
    logger.warn({ file, tokens: `${records.length} of ${tokens.size}`, lines }, warning);
  };
  warn('static tokens have expired: replace them, or remove their entries', (record) =>
    isExpired(record, now),
  );
  warn(
    'columns after the fourth are not read: put all groups into one column, as "group1,group2" with the quotes',
    ({ hasMoreColumns }) => hasMoreColumns === true,
  );
}

function listSources({ tokensFile, tokenAuthFile }: StaticOptions): readonly TokenSource[] {
  const sources: TokenSource[] = [];
  if (tokensFile !== undefined)
    sources.push({ file: tokensFile, secret: false, read: readTokensFile });
  if (tokenAuthFile !== undefined)
    sources.push({ file: tokenAuthFile, secret: true, read: readTokenAuthFile });
  return sources;
}

/** Refuses a token that is in both files. Otherwise the order of the files would decide which of the two entries counts. */
function refuseShared(latest: ReadonlyMap<TokenSource, TokenSet>): void {
  const [entry, otherEntry] = [...latest];
  if (entry === undefined || otherEntry === undefined) return;
  const [source, tokens] = entry;
  const [otherSource, otherTokens] = otherEntry;
  const problems = [...otherTokens].flatMap(([key, { line }]): FileProblem[] => {
    const twin = tokens.get(key);
    if (twin === undefined) return [];
    return [
      {
        line,
        message: `the same token as in ${source.file}, line ${twin.line}: remove it from one of the files`,
      },
    ];
  });
  if (problems.length > 0) throw new TokenFileError(otherSource.file, problems);
}

const noOpinion: Decision = Object.freeze({ kind: 'no-opinion' });

/** The decision about each token. It is one object for all reviews, so that the gateway needs to check it only once. */
const decisions = new WeakMap<FileToken, Authenticated>();

function decideByToken(record: FileToken, now: number): Decision {
  const { user, audiences, notBefore, expiresAt } = record;
  if (isExpired(record, now))
    return { kind: 'rejected', reason: 'expired', subject: user.username };
  if (notBefore !== undefined && now < notBefore) {
    return { kind: 'rejected', reason: 'not-yet-valid', subject: user.username };
  }
  const cached = decisions.get(record);
  // A Date can be changed even in a frozen object.
  if (cached !== undefined && cached.expiresAt?.getTime() === expiresAt) return cached;
  const decision: Authenticated = Object.freeze({
    kind: 'authenticated',
    user,
    ...(audiences && { audiences }),
    ...(expiresAt !== undefined && { expiresAt: new Date(expiresAt) }),
  });
  decisions.set(record, decision);
  return decision;
}
