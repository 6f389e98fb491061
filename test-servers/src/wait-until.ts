/** The longest that a test waits for something that takes a second or two on an idle machine. */
const patience = 30_000;

/**
 * Waits until `condition` holds, looking every 5 ms.
 *
 * @param what the end of "waited 30000 ms for …"
 * @throws Error after 30 s, or what `condition` throws
 */
export async function waitUntil(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const end = performance.now() + patience;
  while (!(await condition())) {
    if (performance.now() > end) {
      throw new Error(`waited ${patience} ms for ${what}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
