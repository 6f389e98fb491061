/**
 * Starts `count` of them at once. All that started are let go with `resources`, also when one of them does not start.
 *
 * @param start is given 0, 1, 2 …
 */
export async function startAll<Started extends AsyncDisposable>(
  resources: AsyncDisposableStack,
  count: number,
  start: (index: number) => Promise<Started>,
): Promise<Started[]> {
  const starts = Array.from({ length: count }, async (_, index) => resources.use(await start(index)));
  await Promise.allSettled(starts);
  return Promise.all(starts);
}
