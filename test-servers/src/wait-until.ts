/** Milliseconds: the longest wait of a test for what takes a second or two on an idle machine. */
const limit = 30_000;

/**
 * Waits until `condition` holds. It looks every 5 ms.
 *
 * @param what the end of the message "waited 30000 ms for …"
 * @throws Error after 30 s, or what `condition` throws
 */
export async function waitUntil(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  await waitFor(async () => (await condition()) || undefined, what, 5);
}

/**
 * As `waitUntil`, for a look at several servers, which need the machine too.
 *
 * @param pause between two looks, in milliseconds
 * @returns the first result of `look` that is not undefined
 */
export async function waitFor<Found>(look: () => Promise<Found | undefined>, what: string, pause = 25): Promise<Found> {
  const end = performance.now() + limit;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() > end) throw new Error(`waited ${limit} ms for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}
