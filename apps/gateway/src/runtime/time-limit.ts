/**
 * Waits for `work` for at most `limit` milliseconds; its signal is aborted then.
 *
 * @throws Error with the message `late` at the limit, and whatever `work` throws
 */
export async function withTimeLimit<T>(
  limit: number,
  late: string,
  work: (signal: AbortSignal) => Promise<T> | T,
): Promise<T> {
  const controller = new AbortController();
  const { promise: tooLate, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    const error = new Error(late);
    controller.abort(error);
    reject(error);
  }, limit);
  try {
    return await Promise.race([work(controller.signal), tooLate]);
  } finally {
    clearTimeout(timer);
  }
}
