/** Which bytes a fault counts and meets. */
export type Direction = 'to-server' | 'to-client';

/** What happens to one connection through the proxy. `after` counts bytes of the direction; 0 is at the connect. */
export type FaultPlan =
  | { readonly kind: 'pass' }
  /** Both sides are reset, or closed as if all were well, with the chunk cut there. */
  | { readonly kind: 'reset' | 'close'; readonly direction: Direction; readonly after: number }
  /** Nothing more comes through, and nobody is told. */
  | { readonly kind: 'stall'; readonly direction: Direction; readonly after: number }
  /** Each byte by itself, to the client. */
  | { readonly kind: 'split' }
  /** What comes for the client within this time comes at once. Milliseconds. */
  | { readonly kind: 'glue'; readonly time: number }
  /** Every chunk to the client is late by this. Milliseconds. */
  | { readonly kind: 'delay'; readonly time: number }
  /** Foreign bytes are put in; `instead`: in place of all that follows. */
  | {
      readonly kind: 'garbage';
      readonly direction: Direction;
      readonly after: number;
      readonly bytes: Buffer;
      readonly instead: boolean;
    };

export interface RandomPlansOptions {
  readonly seed: number;
  /** Of 1: connections that are left alone. */
  readonly passing: number;
  /** `after` is below this. An exchange over TLS is some 3,000 bytes each way, one in clear text some 300. */
  readonly bytes: number;
  /** The longest `time`. */
  readonly time: number;
}

/** Plans that follow from the seed alone, one a call: the same connection order meets the same faults. */
export function randomPlans({ seed, passing, bytes, time }: RandomPlansOptions): () => FaultPlan {
  const random = seededRandom(seed);
  const below = (limit: number) => Math.floor(random() * limit);
  const place = () => ({ direction: random() < 0.5 ? 'to-server' : 'to-client', after: below(bytes) }) as const;
  const makers: readonly (() => FaultPlan)[] = [
    () => ({ kind: 'reset', ...place() }),
    () => ({ kind: 'close', ...place() }),
    () => ({ kind: 'stall', ...place() }),
    () => ({ kind: 'split' }),
    () => ({ kind: 'glue', time: below(time) }),
    () => ({ kind: 'delay', time: below(time) }),
    () => ({ kind: 'garbage', ...place(), bytes: randomBytes(random, 1 + below(64)), instead: random() < 0.5 }),
    // At once, as a server that is going down does.
    () => ({ kind: 'reset', direction: 'to-client', after: 0 }),
  ];
  return () => (random() < passing ? { kind: 'pass' } : (makers[below(makers.length)]?.() ?? { kind: 'pass' }));
}

/** Half of them begin like an LDAP message, so that they are not refused at the first byte. */
function randomBytes(random: () => number, length: number): Buffer {
  const bytes = Buffer.from(Array.from({ length }, () => Math.floor(random() * 256)));
  if (random() < 0.5) {
    bytes[0] = 0x30;
  }
  return bytes;
}

/** A linear congruential generator with the output mixed: good enough to choose, and a few lines. */
function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    const mixed = Math.imul(state ^ (state >>> 16), 0x45d9f3b) >>> 0;
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32;
  };
}
