import type { Connection } from '@sallyport/redis-connection';
import { fateOf } from '../../revocation/confirmation.ts';
import { subjectOf } from '../../revocation/list.ts';
import { placeEntry } from '../../revocation/publish.ts';
import { applyChange, changeTowards, newEntryId, readListing } from '../../revocation/redis-list.ts';
import { createModelBackend, type ModelBackend } from './model-backend.ts';
import { blockOf, judge, type ModelEntry, type ReplicaFacts } from './model-oracle.ts';
import { type Answered, createModelReplica, lifetimes, type ModelReplica } from './model-replica.ts';

interface Member extends ReplicaFacts {
  replica: ModelReplica;
  readonly name: string;
  /** How far it has come in the change of the sealing key. */
  keys: number;
  /** When it last refused a question. */
  readonly lastRefusal: Map<string, number>;
}

/** An hour ahead, right, and an hour behind. */
const skews = [3_600_000, 0, -3_600_000];

/** The change of a sealing key, step by step. */
const rotation = ['A', 'AB', 'BA', 'B', 'BC', 'CB', 'C', 'CA', 'AC'];

/** Three gateways, one Redis, one backend, and a clock. */
export class ModelWorld {
  now: number = Date.UTC(2030, 0, 1);
  /** Counts of positive answers, by source. */
  readonly answers: Map<string, number> = new Map();
  readonly backend: ModelBackend = createModelBackend(() => this.now);
  readonly members: readonly Member[];
  readonly #connection: Connection;
  readonly #ends = new Map<string, number>();
  readonly #inProgress = { count: 0 };
  #listed: ModelEntry[] = [];
  #snapshot:
    | {
        readonly keys: ReadonlyMap<string, Buffer>;
        ends: ReadonlyMap<string, number>;
        entries: ReadonlySet<ModelEntry>;
      }
    | undefined;
  readonly #waiting: Set<Promise<unknown>> = new Set();
  #wrong: unknown;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.members = skews.map((skew, index) => {
      const name = `replica-${index}`;
      const keys = 0;
      const replica = this.#createReplica(name, skew, keys);
      return { replica, name, skew, keys, readAt: Number.NEGATIVE_INFINITY, known: new Set(), lastRefusal: new Map() };
    });
  }

  #createReplica(name: string, skew: number, keys: number): ModelReplica {
    const [connection, ends, inProgress] = [this.#connection, this.#ends, this.#inProgress];
    const now = () => this.now;
    return createModelReplica({
      name,
      backend: this.backend,
      now,
      ends,
      skew,
      connection,
      inProgress,
      keys: rotation[keys] ?? 'A',
    });
  }

  /** @throws Error when the answer is wrong; while the backend is slow, `land` does */
  async review(index: number, token: string, audiences: readonly string[]): Promise<void> {
    const member = this.#member(index);
    const { replica } = member;
    const { isSlow } = this.backend;
    const atFirst = new Set(member.known);
    // Judged when it arrives, by the state of that moment. Whether it serves is not checked for one that has waited.
    const review = replica.ask(token, audiences).then((answered) => {
      if (member.replica !== replica) return;
      this.#check(member, token, answered, atFirst);
      this.#checkService(member, token, audiences, answered, isSlow);
    });
    if (!isSlow) return review;
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

  /** What was held back arrives. */
  async land(): Promise<void> {
    this.backend.isSlow = false;
    while (this.#waiting.size > 0) {
      await this.backend.land();
      await this.#quiet();
    }
    if (this.#wrong !== undefined) throw this.#wrong;
  }

  #check(member: Member, token: string, answered: Answered, atFirst: ReadonlySet<ModelEntry>): void {
    const wrong = judge(token, answered, this.backend, member, atFirst, this.now);
    if (wrong !== undefined) throw new Error(`${member.name}: ${wrong}`);
    const { decision, source = 'backend' } = answered;
    if (decision?.kind === 'authenticated') this.answers.set(source, (this.answers.get(source) ?? 0) + 1);
  }

  /** A good token is let in, however Redis fails. */
  #checkService(
    member: Member,
    token: string,
    audiences: readonly string[],
    { decision }: Answered,
    hasWaited: boolean,
  ): void {
    const question = `${token} ${audiences.join()}`;
    const lastRefusal = member.lastRefusal.get(question) ?? Number.NEGATIVE_INFINITY;
    const isRefusal =
      decision?.kind === 'no-opinion' || (decision?.kind === 'rejected' && decision.reason !== 'blocked');
    if (isRefusal) member.lastRefusal.set(question, this.now);
    const state = this.backend.stateOf(token);
    if (hasWaited || this.backend.isDown || state?.kind !== 'authenticated' || decision?.kind === 'authenticated')
      return;
    // By a clock that is ahead it may have ended already.
    if (state.lifetime !== undefined) return;
    if (this.now - lastRefusal <= lifetimes.rejectedTtl) return;
    const known = this.backend.given.filter((one) => one.token === token);
    // By a clock that is behind, a block lasts for longer.
    const earliest = this.now + Math.min(0, member.skew);
    const isBlocked = [{ token, ...state }, ...known].some((identity) => blockOf(identity, member, earliest));
    if (!isBlocked) throw new Error(`${member.name}: no accept of ${state.username}: ${JSON.stringify(decision)}`);
  }

  async poll(index: number): Promise<void> {
    const member = this.#member(index);
    await member.replica.reader.poll();
    if (member.replica.isAlone) return;
    member.readAt = this.now;
    for (const listed of this.#listed) if (listed.present) member.known.add(listed);
    // And what it knows is there from now on, except for what was superseded.
    for (const listed of member.known) listed.present = !this.#isSuperseded(listed, member);
  }

  #isSuperseded(listed: ModelEntry, { known }: Member): boolean {
    return [...known].some((other) => subjectOf(other) === subjectOf(listed) && other.at > listed.at);
  }

  async publish(action: ModelEntry['action'], kind: ModelEntry['kind'], name: string, lifetime: number): Promise<void> {
    const redis = this.#member(1).replica.redis();
    if (this.#member(1).replica.isAlone) return;
    // As the command waits for it: replicas write back what Redis has lost.
    for (const index of this.members.keys()) await this.poll(index);
    this.now += 1;
    // A revocation is remembered as long as an answer could be cached.
    const shortest = action === 'revoke' ? lifetimes.authenticatedTtl + lifetimes.staleTtl : 0;
    const until = this.now + Math.max(lifetime, shortest);
    for (let tries = 0; tries < 3; tries++) {
      const listing = await readListing(redis);
      const placed = placeEntry({ action, kind, name, by: 'model', until }, listing);
      const entry = { ...placed.entry, id: newEntryId() };
      await applyChange(redis, listing, changeTowards([...placed.others, entry], listing, redis.sealingKeys));
      if (fateOf(entry, (await readListing(redis)).entries) === 'present') break;
    }
    const listed: ModelEntry = { action, kind, name, until, at: this.now, present: true };
    for (const other of this.#listed) if (subjectOf(other) === subjectOf(listed)) other.present = false;
    this.#listed.push(listed);
  }

  /** As Redis restarts without its data. */
  async flush(): Promise<void> {
    await this.#run((client) => client.flushall());
    this.#ends.clear();
    for (const listed of this.#listed) listed.present = false;
  }

  /** What a replica of Redis has, that will be promoted. */
  async snapshot(): Promise<void> {
    const keys = new Map<string, Buffer>();
    await this.#run(async (client) => {
      for (const key of await client.keys('*')) keys.set(key, (await client.dumpBuffer(key)) as Buffer);
    });
    this.#snapshot = {
      keys,
      ends: new Map(this.#ends),
      entries: new Set(this.#listed.filter(({ present }) => present)),
    };
  }

  /** A failover that loses what came since the snapshot. */
  async failOver(): Promise<void> {
    const snapshot = this.#snapshot;
    if (snapshot === undefined) return;
    await this.flush();
    await this.#run(async (client) => {
      for (const [key, value] of snapshot.keys) await client.restore(key, 0, value, 'REPLACE');
    });
    for (const [key, end] of snapshot.ends) this.#ends.set(key, end);
    for (const listed of this.#listed) listed.present = snapshot.entries.has(listed);
  }

  setAlone(index: number, isAlone: boolean): void {
    this.#member(index).replica.isAlone = isAlone;
  }

  restart(index: number): void {
    const member = this.#member(index);
    const { isAlone } = member.replica;
    member.replica = this.#createReplica(member.name, member.skew, member.keys);
    member.replica.isAlone = isAlone;
    member.known.clear();
    member.lastRefusal.clear();
    member.readAt = Number.NEGATIVE_INFINITY;
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

  #run<T>(
    work: Parameters<Connection['run']>[0] extends (client: infer Client) => unknown
      ? (client: Client) => Promise<T>
      : never,
  ): Promise<T> {
    return this.#connection.run(work, new AbortController().signal);
  }
}
