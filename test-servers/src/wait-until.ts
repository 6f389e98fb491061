/** Milliseconds: the longest wait of a test for what takes a second or two on an idle machine. */
const limit = 30_000;

/**
 * Waits until `condition` holds. It looks every 5 ms at first, and less often later, since servers need the machine too:
 * the pause is a tenth of the time waited, up to 25 ms.
 *
 * @param what the end of the message "waited 30000 ms for …"
 * @throws Error after 30 s, or what `condition` throws
 */
export async function waitUntil(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  await waitFor(async () => (await condition()) || undefined, what);
}

/**
 * As `waitUntil`, for what a look finds.
 *
 * @returns the first result of `look` that is not undefined
 */
export async function waitFor<Found>(look: () => Promise<Found | undefined>, what: string): Promise<Found> {
  const start = performance.now();
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    const waited = performance.now() - start;
    if (waited > limit) throw new Error(`waited ${limit} ms for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, Math.min(Math.max(5, waited / 10), 25)));
  }
}
