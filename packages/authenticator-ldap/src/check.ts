import { randomBytes } from 'node:crypto';
import { entryRequest } from './connection/entry-request.ts';
import type { Search, SearchRequest } from './connection/types.ts';
import { namedCode } from './directory/result-codes.ts';
import type { LdapDirectory } from './directory/types.ts';
import type { Filter } from './filter/filter.ts';
import { dnBelow } from './login/bind-user.ts';
import { createJoin } from './login/join.ts';
import type { GroupOptions, LdapOptions, UserOptions } from './options/types.ts';

/**
 * Asks every server for all that a login needs.
 *
 * @param further looks for more on each server that has all that a login needs, and returns what to warn of
 * @returns a text with a line for each server that logins pass over, as long as another one works; and what `further` warns of
 * @throws Error with a line for each problem, and how to fix it
 */
export async function checkDirectory(
  directory: LdapDirectory,
  options: LdapOptions,
  signal: AbortSignal,
  further?: (search: Search) => Promise<readonly string[]>,
): Promise<readonly string[]> {
  const warnings = new Set<string>();
  const reports = await directory.check(async (connection) => {
    const ask = (request: SearchRequest) => connection.search(request, signal);
    const isAnonymous = options.bind === undefined;
    const search = isAnonymous ? anonymously(ask) : ask;
    const reader = isAnonymous
      ? 'only a service account may see it: give bind.dn and bind.password'
      : accountMaySee;
    await lookForUsers(search, options.user, reader);
    const { passwordPolicy } = options.user;
    if (passwordPolicy !== undefined)
      await findBase(search, 'user.passwordPolicy', passwordPolicy, reader);
    if (options.groups !== undefined) await lookForGroups(search, options.groups, reader);
    for (const warning of (await further?.(search)) ?? []) warnings.add(warning);
  }, signal);
  if (reports.length === 0) throw new Error('no LDAP server is known');
  const failing = reports.filter(({ problem }) => problem !== undefined);
  if (failing.length === 0) return [...warnings];
  const count =
    failing.length === reports.length ? undefined : `${failing.length} of ${reports.length}`;
  const head = count === undefined ? 'no LDAP server works' : `${count} LDAP servers do not work`;
  const lines = failing.map(({ server: { url }, problem = '' }) =>
    problem.includes(url) ? problem : `${url}: ${problem}`,
  );
  const text = [`${head}:`, ...lines.map((line) => `  ${line}`)].join('\n');
  if (count !== undefined && failing.every(({ isPassedOver }) => isPassedOver))
    return [text, ...warnings];
  throw new Error(text);
}

const accountMaySee =
  'the service account is not allowed to see it: correct the DN, or let the account read that entry';

/** How servers refuse an anonymous search: Active Directory, OpenLDAP (`require authc`), 389-DS, and one whose rules forbid it. */
const refusalsOfAnonymous: ReadonlySet<number> = new Set([1, 8, 48, 50]);

function anonymously(search: Search): Search {
  return async (request) => {
    const result = await search(request);
    if (!refusalsOfAnonymous.has(result.code)) return result;
    throw new Error(
      `the server refuses an anonymous search (${namedCode(result.code)}): give bind.dn and bind.password`,
    );
  };
}

/** @param reader why a base may be hidden */
async function lookForUsers(search: Search, user: UserOptions, reader: string): Promise<void> {
  const { find } = user;
  if (find.by === 'dn')
    return await findBase(search, 'the parent in user.dnTemplate', find.template.parent, reader);
  for (const base of find.bases) await findBase(search, 'user.base', base, reader);
  const name = unknownName();
  const findsNoOne = async (description: string, option: string, filter: Filter | undefined) => {
    const request = { scope: find.scope, filter, sizeLimit: 2 };
    const count = await checkFilter(search, description, find.bases, request);
    if (count > 0)
      throw new Error(`${description} finds entries for a name that no one has: correct ${option}`);
  };
  await findsNoOne(
    'a search for a user',
    'user.filter',
    find.filter.fill(() => [name]),
  );
  if (find.lookUpFilter === undefined) return;
  const joinFilter = createJoin(user).fill?.(name);
  await findsNoOne('a search by user.lookUpFilter', 'user.lookUpFilter', joinFilter);
}

async function lookForGroups(search: Search, groups: GroupOptions, reader: string): Promise<void> {
  for (const base of groups.bases) await findBase(search, 'groups.base', base, reader);
  const searching = groups.by === 'search' ? groups : groups.nested;
  if (searching === undefined) return;
  const { bases, maxGroups } = groups;
  const name = unknownName();
  const filter = searching.filter.fill((placeholder) => [
    placeholder === 'dn' ? dnBelow(bases[0], name) : name,
  ]);
  const request = { scope: searching.scope, filter, sizeLimit: maxGroups + 1 };
  await checkFilter(search, 'a search for groups', bases, request);
}

async function findBase(
  search: Search,
  option: string,
  base: string,
  reader: string,
): Promise<void> {
  const { code, entries } = await search(entryRequest(base));
  if (code === 32 || (code === 0 && entries.length === 0)) {
    throw new Error(`${option} "${base}" does not exist there, or ${reader}`);
  }
  if (code === 10)
    throw new Error(`${option} "${base}" is on another server: it answered with a referral`);
  if (code !== 0) throw new Error(`${option} "${base}" can't be read: ${explained(code)}`);
}

/** Searches with values that no one has, so that few entries can be found. @returns how many there are */
async function checkFilter(
  search: Search,
  description: string,
  bases: readonly string[],
  request: Pick<SearchRequest, 'scope' | 'sizeLimit'> & { readonly filter: Filter | undefined },
): Promise<number> {
  const { filter } = request;
  if (filter === undefined) return 0;
  let count = 0;
  for (const base of bases) {
    const { code, entries } = await search({ ...request, base, filter, attributes: ['1.1'] });
    if (code !== 0 && code !== 10)
      throw new Error(`${description} below "${base}" does not work: ${explained(code)}`);
    count += entries.length;
  }
  return count;
}

const explanations: ReadonlyMap<number, string> = new Map([
  [3, 'it takes too long: index the attributes of the filter'],
  [
    4,
    'even a name that no one has finds more entries than the size limit: correct the filter, or raise the limit',
  ],
  [
    11,
    "it costs more than the server's limits allow: index the attributes of the filter, or raise the limits",
  ],
  [12, 'the server does not know a matching rule of the filter'],
  [18, 'the server does not know a matching rule of the filter'],
  [50, 'the service account is not allowed to search there: give it that right'],
  [53, 'the server refuses it: look at its log'],
]);

function explained(code: number): string {
  const text = explanations.get(code);
  return text === undefined ? namedCode(code) : `${text} (${namedCode(code)})`;
}

/** Makes a name that no one has. It consists of digits, so that it also suits numeric attributes. */
function unknownName(): string {
  return String(randomBytes(6).readUIntBE(0, 6));
}
