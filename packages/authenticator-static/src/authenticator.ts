import type { Authenticator, Decision, PluginContext } from '@sallyport/authenticator';
import { type Fault, mostFaults, TokenFileError } from './faults.ts';
import type { StaticOptions } from './options.ts';
import { readTokenAuthFile } from './token-auth-file.ts';
import { blind, digestToken, type TokenRecord, type TokenSet } from './token-set.ts';
import { readTokensFile } from './tokens-file.ts';

interface Source {
  readonly file: string;
  /** Whether it holds tokens in clear. */
  readonly secret: boolean;
  read(file: string, content: Buffer): Promise<TokenSet>;
}

/**
 * `recognizes` is left out: a static token may look like anything. So is `check`: there is no backend to reach, and a
 * file that can't be read already fails `create`, or is logged when it changes.
 *
 * @param now wall clock, milliseconds since 1970
 * @throws TokenFileError
 */
export async function createStaticAuthenticator(
  options: StaticOptions,
  context: PluginContext,
  now: () => number = Date.now,
): Promise<Authenticator> {
  const sources = sourcesOf(options);
  const latest = new Map<Source, TokenSet>();
  let inForce: readonly TokenSet[] = [];

  for (const source of sources) {
    const load = async (content: Buffer) => {
      // Kept even if the other file still holds one of its tokens: once that one is taken out there, both take effect.
      latest.set(source, await source.read(source.file, content));
      if (latest.size < sources.length) return;
      refuseShared(latest);
      inForce = [...latest.values()];
      const tokens = inForce.reduce((sum, { size }) => sum + size, 0);
      context.logger.info({ file: source.file, tokens }, 'static tokens loaded; so many are in force');
    };
    await context.watchFile(source.file, load, { secret: source.secret });
  }

  return {
    async authenticate(token, { signal }) {
      signal.throwIfAborted();
      // Unpaired surrogates would all become U+FFFD in UTF-8, and different tokens one.
      if (!token.isWellFormed()) return { kind: 'no-opinion' };
      const key = blind(digestToken(token));
      const record = inForce.map((set) => set.get(key)).find((found) => found !== undefined);
      return record === undefined ? { kind: 'no-opinion' } : decide(record, now());
    },
    *knownUsers() {
      for (const set of inForce) for (const { user } of set.values()) yield user;
    },
    async lookUp(username) {
      const users = inForce.flatMap((set) => [...set.values()]).filter(({ user }) => user.username === username);
      const [first] = users;
      if (first === undefined) return undefined;
      // Each token has groups of its own.
      const groups = [...new Set(users.flatMap(({ user }) => user.groups ?? []))].sort();
      return { ...first.user, groups };
    },
    async close() {},
  };
}

function sourcesOf({ tokensFile, tokenAuthFile }: StaticOptions): readonly Source[] {
  const sources: Source[] = [];
  if (tokensFile !== undefined) sources.push({ file: tokensFile, secret: false, read: readTokensFile });
  if (tokenAuthFile !== undefined) sources.push({ file: tokenAuthFile, secret: true, read: readTokenAuthFile });
  return sources;
}

/** Which of two entries holds must not depend on the order of the files. */
function refuseShared(latest: ReadonlyMap<Source, TokenSet>): void {
  const [one, other] = [...latest];
  if (one === undefined || other === undefined) return;
  const faults: Fault[] = [];
  for (const [key, { line }] of other[1]) {
    const twin = one[1].get(key);
    if (twin === undefined) continue;
    faults.push({
      line,
      message: `the same token as in ${one[0].file}, line ${twin.line}: take it out of one of the two`,
    });
    if (faults.length >= mostFaults) break;
  }
  if (faults.length > 0) throw new TokenFileError(other[0].file, faults);
}

function decide({ user, audiences, notBefore, expiresAt }: TokenRecord, now: number): Decision {
  if (expiresAt !== undefined && now >= expiresAt) {
    return { kind: 'rejected', reason: 'expired', subject: user.username };
  }
  if (notBefore !== undefined && now < notBefore) {
    return { kind: 'rejected', reason: 'not-yet-valid', subject: user.username };
  }
  return {
    kind: 'authenticated',
    user,
    ...(audiences && { audiences }),
    ...(expiresAt !== undefined && { expiresAt: new Date(expiresAt) }),
  };
}
