import assert from 'node:assert/strict';

/** Why a case failed, for the plugin's author. */
interface Complaint {
  /** Follows "Expected". */
  readonly expected: string;
  /** Follows "but". Never a token: see `Kit.show`. */
  readonly got: string;
  /** One sentence, with its full stop. */
  readonly why: string;
}

/** @throws AssertionError with the complaint as one message */
export function fail({ expected, got, why }: Complaint): never {
  assert.fail(`Expected ${expected}, but ${got}. ${why}`);
}

/** @throws AssertionError unless the condition holds. @param complaint a function where its text takes time to write */
export function verify(condition: unknown, complaint: Complaint | (() => Complaint)): asserts condition {
  if (!condition) fail(typeof complaint === 'function' ? complaint() : complaint);
}

/** The result of a call, a value or an error. */
export type Outcome<Value> = { readonly value: Value } | { readonly error: unknown };

/** Waits for a call. It never rejects, and a synchronous throw is an outcome too. */
export async function outcomeOf<Value>(call: () => Value | Promise<Value>): Promise<Outcome<Value>> {
  try {
    return { value: await call() };
  } catch (error) {
    return { error };
  }
}

// Taken at once: the tests of a plugin may replace the global ones by a clock of their own.
const { setTimeout, clearTimeout } = globalThis;

/** Waits at most `milliseconds`, and then fails with the complaint. The call itself goes on. */
export async function within<Value>(milliseconds: number, call: Promise<Value>, complaint: Complaint): Promise<Value> {
  const late = Promise.withResolvers<void>();
  const timer = setTimeout(late.resolve, milliseconds);
  try {
    return await Promise.race([call, late.promise.then(() => fail(complaint))]);
  } finally {
    clearTimeout(timer);
  }
}
