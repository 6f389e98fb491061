import assert from 'node:assert/strict';

/** A failure tells the plugin's author why a case failed. */
interface Failure {
  /** Follows "Expected". */
  readonly expected: string;
  /** Follows "but". It contains no token: see `Kit.show`. */
  readonly actual: string;
  /** One sentence, with its full stop. */
  readonly rationale: string;
}

/** @throws AssertionError with the failure as one message */
export function fail({ expected, actual, rationale }: Failure): never {
  assert.fail(`Expected ${expected}, but ${actual}. ${rationale}`);
}

/** @throws AssertionError unless the condition holds. @param failure a function where its text takes time to write */
export function verify(condition: unknown, failure: Failure | (() => Failure)): asserts condition {
  if (!condition) fail(typeof failure === 'function' ? failure() : failure);
}

/** An outcome is what a call ended with: a value or an error. */
export type CallResult<Value> = { readonly value: Value } | { readonly error: unknown };

/** Waits for a call. It never rejects, and a synchronous throw is an outcome too. */
export async function catchOutcome<Value>(
  call: () => Value | Promise<Value>,
): Promise<CallResult<Value>> {
  try {
    return { value: await call() };
  } catch (error) {
    return { error };
  }
}

// Read when this module is loaded, since the tests of a plugin may replace the global ones by a clock of their own.
const { setTimeout, clearTimeout } = globalThis;

/** Waits at most `milliseconds`, and then fails. The call itself goes on. */
export async function withTimeout<Value>(
  milliseconds: number,
  call: Promise<Value>,
  failure: Failure,
): Promise<Value> {
  const late = Promise.withResolvers<void>();
  const timer = setTimeout(late.resolve, milliseconds);
  try {
    return await Promise.race([call, late.promise.then(() => fail(failure))]);
  } finally {
    clearTimeout(timer);
  }
}
