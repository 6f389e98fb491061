import { hash, randomBytes } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import type { ListenAddress } from '../../config/listen.ts';
import { openText, type SealingKey, sealText } from '../sealing/seal.ts';
import { readReply } from '../shared-redis/read-reply.ts';
import { type ProbedRedis, toPairs } from '../shared-redis/shared-redis.ts';
import { evalAboveLimit, type OnForeign } from './redis-list.ts';
import { countReply, hashReply } from './replies.ts';
import { readReplicasScript, revocationKeys, writeBackScript } from './scripts.ts';

/** How one gateway process is known to all that share its Redis. */
export interface ReplicaName {
  /** The id, which is unique. */
  readonly id: string;
  /** The ids of processes that had the same address on the same machine begin with it. Undefined: the machine is not known. */
  readonly idPrefix: string | undefined;
}

/**
 * Makes an id of the host's name, a digest of machine and address, and a suffix that no other process has.
 *
 * @param address the address on which this process listens until it ends
 */
export function nameReplica({ host, port }: ListenAddress): ReplicaName {
  const machine = port === 0 ? undefined : identifyMachine();
  // The longer suffix is for `hasReplaced`: a host's name may look like one with a digest.
  if (!machine)
    return { id: `${hostname()}-${randomBytes(8).toString('hex')}`, idPrefix: undefined };
  const digest = hash('sha256', `${machine} ${host}:${port}`, 'hex').slice(0, 8);
  const idPrefix = `${hostname()}-${digest}-`;
  return { id: `${idPrefix}${randomBytes(4).toString('hex')}`, idPrefix };
}

const idWithDigest = /^(?<prefix>.*-[0-9a-f]{8}-)[0-9a-f]{8}$/s;

/** Whether a replica has the address that an earlier one had, by their ids: then the earlier one has ended. */
export function hasReplaced(id: string, earlierId: string): boolean {
  const prefix = idWithDigest.exec(id)?.groups?.prefix;
  return prefix !== undefined && idWithDigest.exec(earlierId)?.groups?.prefix === prefix;
}

/** Identifies the running kernel and the network namespace, in which one process at a time can listen on an address. */
function identifyMachine(): string | undefined {
  try {
    return `${readBootId()} ${readlinkSync('/proc/self/ns/net')}`;
  } catch {
    // This is not Linux.
    return undefined;
  }
}

function readBootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8');
  } catch {
    // systemd hides this file with ProcSubset=pid, as in our unit.
    return readFileSync('/etc/machine-id', 'utf8');
  }
}

const sealedFor = 'revocation replicas';

/**
 * Seals what a replica reports of itself, so that no one else can confirm what it has not merged.
 *
 * @param applied the digest of its list, if it has merged the whole list; else ''
 */
export function sealApplied(id: string, applied: string, key: SealingKey): string {
  return sealText(key, sealedFor, id, applied);
}

/** A gateway that has reported itself. */
export interface KnownReplica {
  readonly id: string;
  /** When it last reported: milliseconds since 1970 by Redis' clock. */
  readonly heardAt: number;
  /** See {@link sealApplied}. Undefined: it was sealed with a key that is not known here. */
  readonly applied: string | undefined;
}

/** Commands wait for a replica until this long after its last report. Milliseconds. */
export const countsFor = 60_000;

/** A replica is remembered, and nothing is confirmed without it, until this long after its last report. Milliseconds. */
export const replicaRetention = 3_600_000;

/** @returns Redis' time, the revision of the list or '', and the note of each replica @throws RedisProblem */
async function readNotes(redis: ProbedRedis, onForeign?: OnForeign) {
  const keys = revocationKeys(redis.keyPrefix);
  const reply = await redis.probe('revocations', (client) =>
    client.eval(readReplicasScript, 2, keys.revision, keys.replicas),
  );
  const [revision, now, fields, foreign] = readReply(hashReply, reply);
  onForeign?.(foreign);
  return { now, revision, notes: toPairs(fields) };
}

const readHeardAt = (note: string) => Number(note.split(' ', 1)[0]);

/** @returns Redis' time, the revision of the list or '', and the replicas @throws RedisProblem */
export async function readReplicas(redis: ProbedRedis) {
  const { notes, ...listState } = await readNotes(redis);
  const replicas = notes.map(([id, note]): KnownReplica => {
    const [, sealed = ''] = note.split(' ');
    // A replica that has just noted itself for the first time reports nothing yet.
    const applied = sealed === '' ? '' : openText(redis.sealingKeys, sealedFor, id, sealed);
    return { id, heardAt: readHeardAt(note), applied };
  });
  return { ...listState, replicas };
}

/** The maximum number of replicas that one call forgets or writes back: a call with very many fails. */
const maxOfCall = 1_000;

/** Removes replicas that have ended. One that has not ended comes back by itself. @throws RedisProblem */
export async function forgetReplicas(redis: ProbedRedis, ids: readonly string[]): Promise<void> {
  const { replicas } = revocationKeys(redis.keyPrefix);
  await redis.probe('revocations', (client) => client.hdel(replicas, ...ids.slice(0, maxOfCall)));
}

/** What a poll has found out about the notes of replicas. */
interface PolledNotes {
  /** When the poll began, in monotonic milliseconds. */
  readonly polledAt: number;
  /** Redis' time. */
  readonly time: number;
  /** Whether this replica had no note. If it had one before, Redis has lost its notes. */
  readonly isNew: boolean;
  /** The number of notes. */
  readonly count: number;
}

/** The notes are read again after this time even if their number is the same. Milliseconds. */
const rereadAfter = 5_000;

/**
 * Remembers the notes of all replicas, in case Redis loses its data: a command must still wait for a replica that is cut off,
 * and can't note itself again. Each note is sealed by its replica, and is written back unchanged.
 */
export function createReplicaMemory(ownId: string, onForeign: OnForeign) {
  let rememberedNotes: readonly (readonly [id: string, note: string])[] = [];
  let readAt = Number.NEGATIVE_INFINITY;
  let isIncomplete = false;
  let idPrefix: string | undefined;

  async function writeBack(redis: ProbedRedis, time: number): Promise<void> {
    const { replicas } = revocationKeys(redis.keyPrefix);
    // A note of another client may have any time.
    const isRemembered = ([, note]: readonly [string, string]) => {
      const silence = time - readHeardAt(note);
      return silence >= -countsFor && silence <= replicaRetention;
    };
    const counted = rememberedNotes.filter(isRemembered).slice(0, maxOfCall);
    if (counted.length === 0) return;
    const reply = await redis.probe('revocations', (client) =>
      evalAboveLimit(client, writeBackScript, [replicas], counted.flat()),
    );
    onForeign(readReply(countReply, reply));
  }

  async function read(redis: ProbedRedis): Promise<void> {
    const { notes } = await readNotes(redis, onForeign);
    // Redis may have lost notes since the poll. Then the known ones must be written back, and not replaced.
    isIncomplete = !notes.some(([id]) => id === ownId);
    if (isIncomplete) return;
    const ended = notes.filter(
      ([id]) => idPrefix !== undefined && id !== ownId && id.startsWith(idPrefix),
    );
    const endedIds = ended.map(([id]) => id);
    if (ended.length > 0) await forgetReplicas(redis, endedIds);
    rememberedNotes = notes.filter((note) => !ended.includes(note));
  }

  return {
    /** Redis may lack notes that are known here. Until it has them again, this replica must confirm nothing. */
    get isIncomplete(): boolean {
      return isIncomplete;
    },
    /** Notes that a poll failed. It may still have noted this replica as a new one. */
    failed(): void {
      isIncomplete = true;
    },
    /** Forgets other processes whose ids begin with this prefix: they have ended. */
    forgetPredecessors(prefix: string): void {
      idPrefix = prefix;
      readAt = Number.NEGATIVE_INFINITY;
    },
    /** Updates the notes after a poll. Never rejects: what fails is done again after the next poll. */
    async update(redis: ProbedRedis, { polledAt, time, isNew, count }: PolledNotes): Promise<void> {
      isIncomplete ||= isNew;
      if (!isIncomplete && count === rememberedNotes.length && polledAt - readAt < rereadAfter)
        return;
      try {
        if (isIncomplete) await writeBack(redis, time);
        await read(redis);
        readAt = polledAt;
      } catch {
        // The poll itself reports a Redis that does not answer.
      }
    },
  };
}
