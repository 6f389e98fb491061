import { hash, randomBytes } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import type { ListenAddress } from '../config/listen.ts';
import { openText, type SealingKey, sealText } from '../sealing/seal.ts';
import { readReply } from '../shared-redis/read-reply.ts';
import { type ProbedRedis, pairsOf } from '../shared-redis/shared-redis.ts';
import { evalAboveLimit } from './redis-list.ts';
import { hashReply } from './replies.ts';
import { replicasScript, revocationKeys, writeBackAboveLimitScript, writeBackScript } from './scripts.ts';

/** How one gateway process is known to all that share its Redis. */
export interface ReplicaName {
  /** Unique. */
  readonly id: string;
  /** The ids of processes begin so that had the same address on the same machine. Undefined: it can't be told. */
  readonly place: string | undefined;
}

/**
 * Makes an id of the host's name, the place, and a suffix that no other process has.
 *
 * @param address on which this process listens until it ends
 */
export function nameReplica({ host, port }: ListenAddress): ReplicaName {
  const machine = port === 0 ? undefined : identifyMachine();
  const place = machine && `${hostname()}-${hash('sha256', `${machine} ${host}:${port}`, 'hex').slice(0, 8)}-`;
  return { id: `${place ?? `${hostname()}-`}${randomBytes(4).toString('hex')}`, place };
}

/** Identifies the kernel that runs, and the network namespace: there, one process can listen on an address. */
function identifyMachine(): string | undefined {
  try {
    return `${readBootId()} ${readlinkSync('/proc/self/ns/net')}`;
  } catch {
    // Not a Linux.
    return undefined;
  }
}

function readBootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8');
  } catch {
    // systemd hides that with ProcSubset=pid, as in our unit.
    return readFileSync('/etc/machine-id', 'utf8');
  }
}

const sealedFor = 'revocation replicas';

/**
 * What a replica reports of itself, sealed, so that no one else can confirm what it has not merged: the digest of the list
 * that it holds, when it has merged the list as a whole; else ''.
 */
export function sealApplied(id: string, applied: string, key: SealingKey): string {
  return sealText(key, sealedFor, id, applied);
}

/** A gateway that has reported itself. */
export interface KnownReplica {
  readonly id: string;
  /** When it last reported: milliseconds since 1970 by Redis' clock. */
  readonly heardAt: number;
  /** See {@link sealApplied}; undefined when it seals with a key that is not known here. */
  readonly applied: string | undefined;
}

/** Milliseconds since a replica last reported for which it counts, and commands wait for it. */
export const countsFor = 60_000;

/** @returns Redis' time, the revision of the list or '', and the note of each replica @throws RedisProblem */
async function readNotes(redis: ProbedRedis) {
  const keys = revocationKeys(redis.keyPrefix);
  const reply = await redis.probe('revocations', (client) =>
    client.eval(replicasScript, 2, keys.revision, keys.replicas),
  );
  const [revision, now, fields] = readReply(hashReply, reply);
  return { now, revision, notes: pairsOf(fields) };
}

const heardAtOf = (note: string) => Number(note.split(' ', 1)[0]);

/** @returns Redis' time, the revision of the list or '', and the replicas @throws RedisProblem */
export async function readReplicas(redis: ProbedRedis) {
  const { notes, ...read } = await readNotes(redis);
  const replicas = notes.map(([id, note]): KnownReplica => {
    const [, sealed = ''] = note.split(' ');
    // One that has just noted itself for the first time reports nothing yet.
    const applied = sealed === '' ? '' : openText(redis.sealingKeys, sealedFor, id, sealed);
    return { id, heardAt: heardAtOf(note), applied };
  });
  return { ...read, replicas };
}

/** Replicas that one call forgets or writes back: a call with very many breaks. */
const maxAtOnce = 1_000;

/** Removes replicas that are gone for good. One that is not comes back by itself. */
export async function forgetReplicas(redis: ProbedRedis, ids: readonly string[]): Promise<void> {
  const { replicas } = revocationKeys(redis.keyPrefix);
  await redis.probe('revocations', (client) => client.hdel(replicas, ...ids.slice(0, maxAtOnce)));
}

/** What a poll has found out about the notes of replicas. */
interface PolledNotes {
  /** Monotonic milliseconds. */
  readonly at: number;
  /** Redis' time. */
  readonly time: number;
  /** This replica had no note: Redis has lost them, if it had one before. */
  readonly isNew: boolean;
  /** The number of notes. */
  readonly count: number;
}

/** Milliseconds after which the notes are read again though their number is the same. */
const rereadAfter = 5_000;

/**
 * Remembers the notes of all replicas, for a Redis that loses its data: a command must go on waiting for a replica that is
 * cut off, and can't note itself again. Each note is sealed by its replica, and is written back as it was.
 */
export function createReplicaMemory(ownId: string) {
  let known: readonly (readonly [id: string, note: string])[] = [];
  let readAt = Number.NEGATIVE_INFINITY;
  let isIncomplete = false;
  let place: string | undefined;

  async function writeBack(redis: ProbedRedis, time: number): Promise<void> {
    const { replicas } = revocationKeys(redis.keyPrefix);
    // A note of another client may have any time.
    const counted = known.filter(([, note]) => Math.abs(time - heardAtOf(note)) <= countsFor).slice(0, maxAtOnce);
    if (counted.length === 0) return;
    const scripts = [writeBackScript, writeBackAboveLimitScript] as const;
    await redis.probe('revocations', (client) => evalAboveLimit(client, scripts, [replicas], counted.flat()));
  }

  async function read(redis: ProbedRedis): Promise<void> {
    const { notes } = await readNotes(redis);
    // Lost since the poll: what is known must not be.
    isIncomplete = !notes.some(([id]) => id === ownId);
    if (isIncomplete) return;
    const ended = notes.filter(([id]) => place !== undefined && id !== ownId && id.startsWith(place));
    if (ended.length > 0) {
      await forgetReplicas(
        redis,
        ended.map(([id]) => id),
      );
    }
    known = notes.filter((note) => !ended.includes(note));
  }

  return {
    /** Redis may lack notes that are known here. Until it has them again, this replica must confirm nothing. */
    get isIncomplete(): boolean {
      return isIncomplete;
    },
    /** A poll failed. It may have noted this replica anew all the same. */
    failed(): void {
      isIncomplete = true;
    },
    /** From now on, processes whose ids begin so have ended, however they did. They are forgotten. */
    takePlace(prefix: string): void {
      place = prefix;
      readAt = Number.NEGATIVE_INFINITY;
    },
    /** To be called after each poll. Never rejects: what fails is tried again after the next one. */
    async keep(redis: ProbedRedis, { at, time, isNew, count }: PolledNotes): Promise<void> {
      isIncomplete ||= isNew;
      if (!isIncomplete && count === known.length && at - readAt < rereadAfter) return;
      try {
        if (isIncomplete) await writeBack(redis, time);
        await read(redis);
        readAt = at;
      } catch {
        // The poll itself reports a Redis that does not answer.
      }
    },
  };
}
