/**
 * Calls `make` for everyone who asks, one call at a time and with a pause after each. All who ask while a call or a
 * pause runs share the next call, so no one gets what was made before they asked.
 *
 * @param pause settles when the next call may begin
 */
export function paced<Value>(make: () => Promise<Value>, pause: () => Promise<void>): () => Promise<Value> {
  let free = Promise.resolve();
  let next: Promise<Value> | undefined;
  return () => {
    next ??= free.then(() => {
      next = undefined;
      const made = make();
      free = made.then(pause, pause);
      return made;
    });
    return next;
  };
}
