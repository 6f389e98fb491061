import type { Decision } from '@sallyport/authenticator';
import { digestOf, type Entry } from '../../revocation/list.ts';
import type { GivenAnswer, ModelBackend } from './model-backend.ts';
import { type Answered, lifetimes } from './model-replica.ts';

/** An entry of the revocation list, as the model knows it. */
export interface ModelEntry {
  readonly action: Entry['action'];
  readonly kind: Entry['kind'];
  readonly name: string;
  readonly until: number;
  /** True time. */
  readonly at: number;
  /** Whether it is in Redis now. */
  present: boolean;
}

/** What must hold of one replica, derived from what happened and not from what the replica reports. */
export interface ReplicaFacts {
  /** Milliseconds that its clock is ahead. */
  readonly skew: number;
  /** When it last read the list. */
  readAt: number;
  /** The entries that were in Redis then. */
  readonly known: Set<ModelEntry>;
}

/** The user of a positive answer. */
interface Identity {
  readonly token: string;
  readonly username: string;
  readonly groups: readonly string[];
}

/**
 * @param atFirst what was known when the review began
 * @returns what is wrong with an answer; undefined when nothing is
 */
export function judge(
  token: string,
  { decision, source }: Answered,
  backend: ModelBackend,
  facts: ReplicaFacts,
  atFirst: ReadonlySet<ModelEntry>,
  now: number,
): string | undefined {
  if (decision?.kind !== 'authenticated') return undefined;
  const { username, groups = [] } = decision.user;
  const block = blockOf({ token, username, groups }, facts, now);
  if (block !== undefined) return `an accept of ${username}, though ${block.kind} ${block.name} is blocked`;
  const given = backend.given.filter(
    (one) => one.token === token && one.username === username && sameGroups(one, decision),
  );
  if (given.length === 0) return `an accept of ${username} that no authenticator ever gave`;
  const unended = given.filter(
    ({ expiresAt = Number.POSITIVE_INFINITY }) => now - Math.max(0, -facts.skew) < expiresAt,
  );
  if (unended.length === 0) return `an accept of ${username} past its expiresAt`;
  if (source === undefined) {
    const standing = unended.filter((one) => one.at === now && !isRevoked(one, atFirst));
    return standing.length > 0 ? undefined : `an accept of ${username} of a lookup that began before it was revoked`;
  }
  const oldest = longest(source === 'stale', now - facts.readAt > 1_000, backend.isDown);
  const young = unended.filter(({ at }) => now - at < oldest);
  if (young.length === 0) return `an accept of ${username} from ${source} that is older than ${oldest} ms`;
  const standing = young.filter((one) => !isRevoked(one, facts.known));
  return standing.length === 0 ? `an accept of ${username} from ${source} that was revoked` : undefined;
}

function longest(isStale: boolean, isCutOff: boolean, isDown: boolean): number {
  if (isStale) return isDown ? lifetimes.authenticatedTtl + lifetimes.staleTtl : 0;
  return isCutOff ? 10_000 : lifetimes.authenticatedTtl;
}

function sameGroups({ groups }: GivenAnswer, decision: Decision): boolean {
  return decision.kind === 'authenticated' && JSON.stringify(decision.user.groups) === JSON.stringify(groups);
}

function isAbout({ kind, name }: ModelEntry, { token, username, groups }: Identity): boolean {
  if (kind === 'all') return true;
  if (kind === 'user') return name === username;
  return kind === 'group' ? groups.includes(name) : name === digestOf(token);
}

/** Of a block and what ended it the later one holds, as far as the replica knows of it. */
export function blockOf(identity: Identity, { known }: ReplicaFacts, now: number): ModelEntry | undefined {
  const last = new Map<string, ModelEntry>();
  for (const listed of [...known].sort((one, other) => one.at - other.at)) {
    if (listed.action !== 'revoke' && isAbout(listed, identity)) last.set(`${listed.kind} ${listed.name}`, listed);
  }
  return [...last.values()].find(({ action, until }) => action === 'block' && until > now);
}

function isRevoked(given: GivenAnswer, known: ReadonlySet<ModelEntry>): boolean {
  return [...known].some((listed) => listed.action === 'revoke' && isAbout(listed, given) && given.began < listed.at);
}
