interface TurnLimits {
  /** The maximum number of requests of one address that may wait. */
  readonly waiting: number;
  /** The maximum number of requests of one address that may be in progress, from their turn until they end. */
  readonly inProgress: number;
}

/** Begins a request in its turn. @param end must be called when the request has ended */
type Begin = (end: () => void) => void;

/**
 * Gives out turns of the event loop, one at a time: requests that came together, done together, would make token
 * reviews wait. Addresses take turns, so that an address with many requests delays no other.
 *
 * @returns a function that queues `begin`, and returns a function that takes it out of the queue again. It returns
 *   undefined if too many of its address wait already
 */
export function createFairTurns(
  limits: TurnLimits,
): (address: string, begin: Begin) => (() => void) | undefined {
  const addresses = new Map<string, { readonly waiting: Set<Begin>; running: number }>();
  /** The addresses that may have the next turns, in their order. */
  const ready = new Set<string>();
  let isPlanned = false;

  /** Must be called after each change of an address. */
  function plan(address: string): void {
    const queue = addresses.get(address);
    if (queue === undefined) return;
    if (queue.waiting.size > 0 && queue.running < limits.inProgress) ready.add(address);
    else ready.delete(address);
    if (queue.waiting.size === 0 && queue.running === 0) addresses.delete(address);
    planTurn();
  }
  function planTurn(): void {
    if (isPlanned || ready.size === 0) return;
    isPlanned = true;
    setImmediate(() => {
      isPlanned = false;
      const [address] = ready;
      if (address !== undefined) giveTurn(address);
    });
  }
  function giveTurn(address: string): void {
    // Its next turn is after those of all others.
    ready.delete(address);
    const queue = addresses.get(address);
    const [begin] = queue?.waiting ?? [];
    if (queue === undefined || begin === undefined) return;
    queue.waiting.delete(begin);
    queue.running++;
    let isRunning = true;
    const end = () => {
      if (!isRunning) return;
      isRunning = false;
      queue.running--;
      plan(address);
    };
    // The next turn is planned first, whatever this one does.
    plan(address);
    begin(end);
  }
  return (address, begin) => {
    const queue = addresses.get(address) ?? { waiting: new Set(), running: 0 };
    if (queue.waiting.size >= limits.waiting) return undefined;
    addresses.set(address, queue);
    queue.waiting.add(begin);
    plan(address);
    return () => {
      if (queue.waiting.delete(begin)) plan(address);
    };
  };
}
