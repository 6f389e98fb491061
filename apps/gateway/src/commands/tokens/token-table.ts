import type { UnreadableToken } from '@sallyport/authenticator';
import { shortDigest } from '../../engine/revocation/list.ts';
import type { CommandContext } from '../context.ts';
import type { IssuerSetup, SeenToken } from '../issuer.ts';
import { printTable } from '../output.ts';
import { roundedDuration } from '../times.ts';

/** Prints tokens, or sessions, which have other columns. Prints nothing where there are none. */
export function printTokens(
  context: CommandContext,
  setup: IssuerSetup,
  tokens: readonly SeenToken[],
  unreadable: readonly UnreadableToken[],
  now: number,
): void {
  if (tokens.length + unreadable.length === 0) return;
  const isTracked = tokens.some(({ issued }) => issued.lastUsedAt !== undefined);
  const hasProviders = tokens.some(({ session }) => session?.provider !== undefined);
  const omitted = new Set([
    ...(isTracked ? [] : ['LAST USE']),
    ...(hasProviders ? [] : ['PROVIDER']),
  ]);
  const columns = (
    setup.authenticator.name === setup.config.login?.sessions ? sessionColumns : tokenColumns
  ).filter(([head]) => !omitted.has(head));
  const unreadableRow = ({ digest, problem }: UnreadableToken) => {
    const cells: Readonly<Record<string, string>> = {
      DIGEST: shortDigest(digest),
      STATE: `unreadable: ${problem}`,
    };
    return columns.map(([head]) => cells[head] ?? '');
  };
  printTable(
    context,
    columns.map(([head]) => head),
    [
      ...tokens.map((token) => columns.map(([, cell]) => cell(token, now))),
      ...unreadable.map(unreadableRow),
    ],
  );
}

type Column = readonly [head: string, cell: (token: SeenToken, now: number) => string];

const ago = (time: Date, now: number) => `${roundedDuration(now - time.getTime())} ago`;

/** The columns of both tables. */
const column = {
  digest: ['DIGEST', ({ issued }) => shortDigest(issued.digest)],
  user: ['USER', ({ user }) => user.username],
  age: [
    'AGE',
    ({ issued: { issuedAt } }, now) =>
      issuedAt === undefined ? '' : roundedDuration(now - +issuedAt),
  ],
  expires: [
    'EXPIRES',
    ({ issued: { expiresAt } }, now) => {
      if (expiresAt === undefined) return 'never';
      return +expiresAt <= now ? ago(expiresAt, now) : roundedDuration(+expiresAt - now);
    },
  ],
  lastUse: [
    'LAST USE',
    ({ issued: { lastUsedAt } }, now) =>
      lastUsedAt ? ago(lastUsedAt, now) : lastUsedAt === null ? 'never' : '',
  ],
  state: ['STATE', ({ state }) => state],
} satisfies Readonly<Record<string, Column>>;

const tokenColumns: readonly Column[] = [
  column.digest,
  column.user,
  ['GROUPS', ({ user }) => (user.groups ?? []).join(',')],
  ...[column.age, column.expires, column.lastUse, column.state],
  ['BY', ({ issued }) => issued.issuedBy ?? ''],
  ['REASON', ({ issued }) => issued.reason ?? ''],
];

/** A session has no groups of its own: they are read from the directory at each look-up. */
const sessionColumns: readonly Column[] = [
  ...[column.digest, column.user, column.age, column.expires, column.lastUse, column.state],
  ['PROVIDER', ({ session }) => session?.provider?.name ?? ''],
  ['CLUSTER', ({ session }) => session?.cluster ?? ''],
  ['DEVICE', ({ session }) => session?.device ?? ''],
  ['ADDRESS', ({ session }) => session?.address ?? ''],
];
