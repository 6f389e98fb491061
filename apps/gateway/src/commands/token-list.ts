import type { TokenFilter, UnreadableToken } from '@sallyport/authenticator';
import type { IdentityConfig } from '../config/types.ts';
import {
  type Issuing,
  type IssuingOptions,
  loadIssuing,
  type SeenToken,
  seeToken,
  toJson,
  withIssuer,
} from './issuer.ts';
import {
  createProgress,
  type ExitCode,
  exitCodes,
  printJson,
  printRemark,
  printTable,
  shortDigest,
  UsageError,
} from './output.ts';
import { humanDuration } from './times.ts';

export interface ListTokensOptions extends IssuingOptions {
  readonly user?: string;
  readonly digest?: string;
}

/** Lists issued tokens. */
export async function listTokens(options: ListTokensOptions): Promise<ExitCode> {
  const { user, digest, output } = options;
  const issuing = await loadIssuing(options);
  const { name } = issuing.authenticator;
  const filter = {
    ...(user !== undefined && { username: withoutPrefix(user, issuing.authenticator) }),
    ...(digest !== undefined && { digest }),
  };
  const now = Date.now();
  const { tokens, unreadable } = await collect(issuing, filter, now);
  if (output === 'json') printJson({ tokens: tokens.map((one) => toJson(one, name)), unreadable });
  else {
    const what = Object.keys(filter).length === 0 ? 'tokens' : 'such token';
    const { head, rows } = tableOf(tokens, unreadable, now);
    printTable(head, rows, `authenticator ${name} has no ${what}`);
  }
  const { length } = unreadable;
  if (length > 0) {
    const subject =
      length === 1 ? '1 record is unreadable and authenticates' : `${length} records are unreadable and authenticate`;
    printRemark(`${subject} no one: fix or delete what is stored there`);
  }
  return exitCodes.success;
}

/** Takes a name as `token create` does, and with the prefix, as Kubernetes and this list show it. @throws UsageError for the prefix alone */
function withoutPrefix(name: string, { username: { prefix } }: IdentityConfig): string {
  if (!name.startsWith(prefix)) return name;
  if (name === prefix) throw new UsageError(`--user is the prefix alone: write --user ${prefix}NAME`);
  return name.slice(prefix.length);
}

/** The newest first. */
async function collect(issuing: Issuing, filter: TokenFilter, now: number) {
  const tokens: SeenToken[] = [];
  const unreadable: UnreadableToken[] = [];
  using progress = createProgress('tokens');
  await withIssuer(issuing, async (issuer) => {
    for await (const one of issuer.list(filter)) {
      progress.count();
      if ('fault' in one) unreadable.push({ digest: one.digest, fault: one.fault });
      else tokens.push(seeToken(one, issuing.judge, now));
    }
  });
  const issuedAt = ({ issued }: SeenToken) => issued.issuedAt?.getTime() ?? 0;
  const byDigest = (one: { digest: string }, other: { digest: string }) => (one.digest < other.digest ? -1 : 1);
  return {
    tokens: tokens.sort((one, other) => issuedAt(other) - issuedAt(one) || byDigest(one.issued, other.issued)),
    unreadable: unreadable.sort(byDigest),
  };
}

function tableOf(tokens: readonly SeenToken[], unreadable: readonly UnreadableToken[], now: number) {
  const tracked = tokens.some(({ issued }) => issued.lastUsedAt !== undefined);
  const lastUse = (text: string) => (tracked ? [text] : []);
  const ago = (time: Date) => `${humanDuration(now - time.getTime())} ago`;
  const rows = [
    ...tokens.map(({ issued: { digest, issuedAt, issuedBy, reason, expiresAt, lastUsedAt }, user, state }) => [
      shortDigest(digest),
      user.username,
      user.groups?.join(',') ?? '',
      issuedAt === undefined ? '' : humanDuration(now - issuedAt.getTime()),
      expiresAt === undefined ? 'never' : +expiresAt <= now ? ago(expiresAt) : humanDuration(+expiresAt - now),
      ...lastUse(lastUsedAt ? ago(lastUsedAt) : lastUsedAt === null ? 'never' : ''),
      state,
      issuedBy ?? '',
      reason ?? '',
    ]),
    ...unreadable.map(({ digest, fault }) => {
      return [shortDigest(digest), '', '', '', '', ...lastUse(''), `unreadable: ${fault}`];
    }),
  ];
  return {
    head: ['DIGEST', 'USER', 'GROUPS', 'AGE', 'EXPIRES', ...lastUse('LAST USE'), 'STATE', 'BY', 'REASON'],
    rows,
  };
}
