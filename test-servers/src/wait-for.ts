import { maxTestWait } from '@sallyport/scripts/max-test-wait';

/**
 * Waits until `condition` gives something other than undefined, null or false. It looks every 5 ms at first, and less
 * often later, since servers need the machine too: the pause is a tenth of the time waited, up to a quarter of a second.
 *
 * @param what the end of the message "waited 120000 ms for …"
 * @throws Error after `maxTestWait`, or what `condition` throws
 */
export async function waitFor<Value>(
  condition: () => Value | Promise<Value>,
  what: string,
): Promise<NonNullable<Exclude<Value, false>>> {
  const start = performance.now();
  for (;;) {
    const value = await condition();
    if (value !== undefined && value !== null && value !== false)
      return value as NonNullable<Exclude<Value, false>>;
    const waited = performance.now() - start;
    if (waited > maxTestWait) throw new Error(`waited ${maxTestWait} ms for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, Math.min(Math.max(5, waited / 10), 250)));
  }
}

/** Waits until `promise` settles. @throws Error with `what` after `maxTestWait` */
export async function waitForPromise<Value>(promise: Promise<Value>, what: string): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(
      () => reject(new Error(`waited ${maxTestWait} ms for ${what}`)),
      maxTestWait,
    );
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
