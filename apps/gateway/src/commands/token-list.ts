import type { TokenFilter, UnreadableToken } from '@sallyport/authenticator';
import type { IdentityConfig } from '../config/types.ts';
import { type ExitCode, exitCodes, UsageError } from './exit-codes.ts';
import {
  type Issuing,
  type IssuingOptions,
  loadIssuing,
  type SeenToken,
  seeToken,
  toJson,
  withIssuer,
} from './issuer.ts';
import { createProgress, type OutputFormat, printJson, printRemark, printTable, shortDigest } from './output.ts';
import { humanDuration } from './times.ts';

export interface ListTokensOptions extends IssuingOptions {
  readonly user?: string;
  readonly digest?: string;
  readonly output: OutputFormat;
}

interface Listing {
  /** The newest first. */
  readonly tokens: readonly SeenToken[];
  readonly unreadable: readonly UnreadableToken[];
}

/** Lists issued tokens. */
export async function listTokens(options: ListTokensOptions): Promise<ExitCode> {
  const { user, digest, output } = options;
  const issuing = await loadIssuing(options);
  const filter = {
    ...(user !== undefined && { username: withoutPrefix(user, issuing.authenticator) }),
    ...(digest !== undefined && { digest }),
  };
  const now = Date.now();
  const { tokens, unreadable } = await collect(issuing, filter, now);
  if (output === 'json') {
    printJson({ tokens: tokens.map((one) => toJson(one, issuing.authenticator.name)), unreadable });
  } else if (tokens.length + unreadable.length > 0) printRows({ tokens, unreadable }, now);
  else {
    const what = Object.keys(filter).length === 0 ? 'tokens' : 'such token';
    printRemark(`authenticator ${issuing.authenticator.name} has no ${what}`);
  }
  warnOfUnreadable(unreadable);
  return exitCodes.success;
}

/** Takes a name as `token create` does, and with the prefix, as Kubernetes and this list show it. @throws UsageError for the prefix alone */
function withoutPrefix(name: string, { username: { prefix } }: IdentityConfig): string {
  if (!name.startsWith(prefix)) return name;
  if (name === prefix) throw new UsageError(`--user is the prefix alone: write --user ${prefix}NAME`);
  return name.slice(prefix.length);
}

async function collect(issuing: Issuing, filter: TokenFilter, now: number): Promise<Listing> {
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
  const issuedAt = ({ issued }: SeenToken) => issued.issuedAt?.getTime() ?? Number.NEGATIVE_INFINITY;
  const byDigest = (one: { digest: string }, other: { digest: string }) => (one.digest < other.digest ? -1 : 1);
  return {
    tokens: tokens.sort((one, other) => {
      const [oneTime, otherTime] = [issuedAt(one), issuedAt(other)];
      return oneTime === otherTime ? byDigest(one.issued, other.issued) : otherTime - oneTime;
    }),
    unreadable: unreadable.sort(byDigest),
  };
}

function printRows({ tokens, unreadable }: Listing, now: number): void {
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
  const head = ['DIGEST', 'USER', 'GROUPS', 'AGE', 'EXPIRES', ...lastUse('LAST USE'), 'STATE', 'BY', 'REASON'];
  printTable(head, rows);
}

function warnOfUnreadable({ length }: readonly UnreadableToken[]): void {
  if (length === 0) return;
  const subject =
    length === 1 ? '1 record is unreadable and authenticates' : `${length} records are unreadable and authenticate`;
  printRemark(`${subject} no one: fix or delete what is stored there`);
}
