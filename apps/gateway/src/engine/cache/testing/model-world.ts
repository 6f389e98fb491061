import { type Authenticator, AuthenticatorError } from '@sallyport/authenticator';
import type { RedisClient, RedisConnection } from '@sallyport/redis-connection';
import {
  type BackendState,
  type CacheModel,
  createCacheModel,
  type ListedEntry,
  newReplicaFacts,
  type ReplicaFacts,
} from '@sallyport/test-servers/cache-model';
import { findEntryState } from '../../revocation/confirmation.ts';
import { digestToken, identifySubject } from '../../revocation/list.ts';
import { placeEntry } from '../../revocation/publish.ts';
import {
  applyChange,
  changeTowards,
  createEntryId,
  readListing,
} from '../../revocation/redis-list.ts';
import { createModelReplica, type ModelReplica, modelLifetimes } from './model-replica.ts';

interface Member {
  replica: ModelReplica;
  readonly name: string;
  facts: ReplicaFacts;
  /** How far it has come in the change of the sealing key. */
  keys: number;
}

interface Snapshot {
  readonly keys: ReadonlyMap<string, Buffer>;
  readonly ends: ReadonlyMap<string, number>;
  readonly present: ReadonlySet<ListedEntry>;
}

/** The replicas' clocks are an hour ahead, right, and an hour behind. */
const skews = [3_600_000, 0, -3_600_000];

/** The change of a sealing key, step by step. */
const rotation = ['A', 'AB', 'BA', 'B', 'BC', 'CB', 'C', 'CA', 'AC'];

const notYet = Number.NEGATIVE_INFINITY;

/** Three replicas of the source, one real Redis, one backend, and a clock. Each step is checked by the model. */
export class ModelWorld {
  now: number = Date.UTC(2030, 0, 1);
  readonly model: CacheModel = createCacheModel(modelLifetimes);
  readonly members: readonly Member[];
  readonly #connection: RedisConnection;
  readonly #ends = new Map<string, number>();
  readonly #inProgress = { count: 0 };
  readonly #listed: ListedEntry[] = [];
  /** The entries that are in Redis. */
  readonly #present = new Set<ListedEntry>();
  readonly #waiting: Set<Promise<unknown>> = new Set();
  #snapshot: Snapshot | undefined;
  #isSlow = false;
  #delayed: (() => void)[] = [];
  #wrong: unknown;

  constructor(connection: RedisConnection) {
    this.#connection = connection;
    this.members = skews.map((skew, index) => {
      const name = `replica-${index}`;
      return {
        replica: this.#createReplica(name, skew, 0),
        name,
        facts: newReplicaFacts(skew, notYet),
        keys: 0,
      };
    });
  }

  #createReplica(name: string, skew: number, keys: number): ModelReplica {
    const [connection, ends, inProgress] = [this.#connection, this.#ends, this.#inProgress];
    const shared = { connection, ends, inProgress, backend: this.#backend(), now: () => this.now };
    return createModelReplica({ name, skew, keys: rotation[keys] ?? 'A', ...shared });
  }

  #backend(): Authenticator {
    return {
      authenticate: async (token) => {
        if (this.model.isDown) throw new AuthenticatorError('unavailable', 'down');
        const state = this.model.stateOf(token);
        const given = this.model.ask(token, this.now);
        if (this.#isSlow) await new Promise<void>((resolve) => this.#delayed.push(resolve));
        if (given !== undefined) this.model.arrive(given, this.now);
        if (state.kind !== 'authenticated')
          return state.kind === 'rejected'
            ? { kind: 'rejected', reason: 'revoked' }
            : { kind: 'no-opinion' };
        const end = given?.expiresAt === undefined ? {} : { expiresAt: new Date(given.expiresAt) };
        return {
          kind: 'authenticated',
          user: { username: state.username, groups: state.groups },
          ...end,
        };
      },
      close: async () => {},
    };
  }

  set(token: string, state: BackendState): void {
    this.model.set(token, state);
  }

  /** @throws Error when the answer is wrong; while the backend is slow, `land` does */
  async review(index: number, token: string, audiences: readonly string[]): Promise<void> {
    const { replica, facts, name } = this.#member(index);
    const isDelayed = this.#isSlow;
    const knownAtFirst = new Set(facts.known);
    // The answer is checked when it arrives, by the state of that moment.
    const review = replica.ask(token, audiences).then((answer) => {
      if (this.#member(index).replica !== replica) return;
      const history = {
        token,
        audiences,
        began: this.now,
        ended: this.now,
        knownAtFirst,
        isDelayed,
        answer,
      };
      try {
        this.model.check(history, facts);
      } catch (cause) {
        throw new Error(`${name}: ${cause}`, { cause });
      }
    });
    if (!isDelayed) return review;
    this.#waiting.add(review);
    review
      .catch((error: unknown) => {
        this.#wrong ??= error;
      })
      .finally(() => this.#waiting.delete(review));
    await this.#quiet();
  }

  /** Whatever goes on without the backend has ended: the next step must not cross it. */
  async #quiet(): Promise<void> {
    do await new Promise(setImmediate);
    while (this.#inProgress.count > 0);
    await new Promise(setImmediate);
  }

  /** From now on answers are made immediately, and are delayed until `land`. */
  slow(): void {
    this.#isSlow = true;
  }

  /** Delayed answers arrive. */
  async land(): Promise<void> {
    this.#isSlow = false;
    while (this.#waiting.size > 0) {
      for (const release of this.#delayed.splice(0)) release();
      await this.#quiet();
    }
    if (this.#wrong !== undefined) throw this.#wrong;
  }

  async poll(index: number): Promise<void> {
    const { replica, facts } = this.#member(index);
    await replica.reader.poll();
    if (replica.isAlone) return;
    facts.readAt = this.now;
    for (const listed of this.#present) facts.known.add(listed);
    // And what it knows is there from now on, except for what was superseded.
    const isSuperseded = (listed: ListedEntry) =>
      [...facts.known].some(
        (other) => identifySubject(other) === identifySubject(listed) && other.at > listed.at,
      );
    for (const listed of facts.known) {
      if (isSuperseded(listed)) this.#present.delete(listed);
      else this.#present.add(listed);
    }
  }

  async tick(): Promise<void> {
    this.now += 500;
    for (const index of this.members.keys()) await this.poll(index);
  }

  async publish(
    change: Pick<ListedEntry, 'action' | 'kind' | 'name'>,
    lifetime: number,
  ): Promise<void> {
    const { replica } = this.#member(1);
    if (replica.isAlone) return;
    const redis = replica.redis();
    // As the command waits for it: replicas write back what Redis has lost.
    for (const index of this.members.keys()) await this.poll(index);
    this.now += 1;
    // A revocation is remembered as long as an answer could be cached.
    const minLifetime =
      change.action === 'revoke' ? modelLifetimes.authenticatedTtl + modelLifetimes.staleTtl : 0;
    const until = this.now + Math.max(lifetime, minLifetime);
    const name = change.kind === 'token' ? digestToken(change.name) : change.name;
    for (let attempt = 0; attempt < 3; attempt++) {
      const listing = await readListing(redis);
      const placed = placeEntry({ ...change, name, by: 'model', until }, listing);
      const entry = { ...placed.entry, id: createEntryId() };
      await applyChange(
        redis,
        listing,
        changeTowards([...placed.otherEntries, entry], listing, redis.sealingKeys),
        { isWhole: false },
      );
      if (findEntryState(entry, (await readListing(redis)).entries) === 'present') break;
    }
    const listed: ListedEntry = { ...change, until, at: this.now };
    for (const other of this.#listed)
      if (identifySubject(other) === identifySubject(listed)) this.#present.delete(other);
    this.#listed.push(listed);
    this.#present.add(listed);
  }

  /** Simulates a restart of Redis without its data. */
  async flush(): Promise<void> {
    await this.#run((client) => client.flushall());
    this.#ends.clear();
    this.#present.clear();
  }

  /** What a replica of Redis has, that will be promoted. */
  async snapshot(): Promise<void> {
    const keys = new Map<string, Buffer>();
    await this.#run(async (client) => {
      for (const key of await client.keys('*'))
        keys.set(key, (await client.dumpBuffer(key)) as Buffer);
    });
    this.#snapshot = { keys, ends: new Map(this.#ends), present: new Set(this.#present) };
  }

  /** Simulates a failover that loses what came since the snapshot. */
  async failOver(): Promise<void> {
    const snapshot = this.#snapshot;
    if (snapshot === undefined) return;
    await this.flush();
    await this.#run(async (client) => {
      for (const [key, value] of snapshot.keys) await client.restore(key, 0, value, 'REPLACE');
    });
    for (const [key, end] of snapshot.ends) this.#ends.set(key, end);
    for (const listed of snapshot.present) this.#present.add(listed);
  }

  setAlone(index: number, isAlone: boolean): void {
    this.#member(index).replica.isAlone = isAlone;
  }

  restart(index: number): void {
    const member = this.#member(index);
    const { isAlone } = member.replica;
    member.replica = this.#createReplica(member.name, member.facts.skew, member.keys);
    member.replica.isAlone = isAlone;
    member.facts = newReplicaFacts(member.facts.skew, notYet);
  }

  /** One step further in the change of the sealing key, when all others have come as far. */
  rotate(index: number): void {
    const member = this.#member(index);
    if (this.members.every(({ keys }) => keys >= member.keys))
      member.keys = Math.min(member.keys + 1, rotation.length - 1);
    member.replica.reload(rotation[member.keys] ?? 'A');
  }

  #member(index: number): Member {
    const member = this.members[index];
    if (member === undefined) throw new Error(`no replica ${index}`);
    return member;
  }

  #run<Result>(work: (client: RedisClient) => Promise<Result>): Promise<Result> {
    return this.#connection.run(work, new AbortController().signal);
  }
}
