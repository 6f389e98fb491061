/**
 * Creates a queue in which each waits for a turn of the event loop of its own. One turn can bring the requests of hundreds of people, each some
 * milliseconds of work with its 429: done together, they would make token reviews wait.
 *
 * @returns waits for the next free turn
 */
export function createTurns(): () => Promise<void> {
  const waiting = new Set<() => void>();
  const next = () => {
    const [begin] = waiting;
    if (begin === undefined) return;
    waiting.delete(begin);
    if (waiting.size > 0) setImmediate(next);
    begin();
  };
  return () =>
    new Promise<void>((resolve) => {
      waiting.add(() => resolve());
      if (waiting.size === 1) setImmediate(next);
    });
}
