import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';

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

/** @throws AssertionError unless the condition holds */
export function verify(condition: unknown, complaint: Complaint): asserts condition {
  if (!condition) fail(complaint);
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

/** Waits at most `milliseconds`, and then fails with the complaint. The call itself goes on. */
export async function within<Value>(milliseconds: number, call: Promise<Value>, complaint: Complaint): Promise<Value> {
  const timer = new AbortController();
  const late = delay(milliseconds, undefined, { signal: timer.signal }).then(() => fail(complaint));
  try {
    return await Promise.race([call, late]);
  } finally {
    timer.abort();
    late.catch(() => {});
  }
}
