/** Waits for the turn of a request. @param kind such as `token` */
export type WaitForTurn<Kind extends string> = (kind: Kind) => Promise<void>;

/**
 * Gives out turns of the event loop to kinds of requests: each turn takes the oldest requests of each kind. So a kind with any number of
 * requests waits for its own ones, and delays another kind by one turn. A client that waits for its answer sends nothing else, so what is
 * read in a turn is limited, too.
 *
 * @param batch the maximum number of requests of one kind in one turn
 */
export function createKindTurns<Kind extends string>(batch: number): WaitForTurn<Kind> {
  const queues = new Map<Kind, (() => void)[]>();
  let isPlanned = false;
  function plan(): void {
    if (isPlanned) return;
    isPlanned = true;
    setImmediate(giveTurn);
  }
  function giveTurn(): void {
    isPlanned = false;
    for (const [kind, queue] of queues) {
      const turn = queue.splice(0, batch);
      if (queue.length === 0) queues.delete(kind);
      for (const begin of turn) begin();
    }
    if (queues.size > 0) plan();
  }
  return (kind) =>
    new Promise((resolve) => {
      const queue = queues.get(kind);
      if (queue) queue.push(resolve);
      else queues.set(kind, [resolve]);
      plan();
    });
}
