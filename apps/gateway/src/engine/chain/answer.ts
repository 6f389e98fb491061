import { types } from 'node:util';

/**
 * Says whether an answer of a layer is a promise. If not, it is there already: it came from memory, or is about a static token.
 * Most reviews of a busy cluster get such answers, and a promise in each layer would make them a fifth slower. Other files ask
 * by this function, or go on by `after`.
 */
export function isPending<Value>(answer: Value | Promise<Value>): answer is Promise<Value> {
  return answer instanceof Promise;
}

/**
 * Goes on with an answer: immediately when it is there, else when its promise settles. (Its name is not `then`, since a module
 * that exports a `then` can't be imported.)
 *
 * @param failed makes a result of the error when the promise rejects; default: the result rejects too
 */
export function after<Value, Result>(
  answer: Value | Promise<Value>,
  next: (value: Value) => Result | Promise<Result>,
  failed?: (error: unknown) => Result | Promise<Result>,
): Result | Promise<Result> {
  return isPending(answer) ? answer.then(next, failed) : next(answer);
}

/**
 * Makes a value of an object once, and caches it for as long as there is that object.
 *
 * @param make its result must depend on the object alone, not on `args`: the object is the key
 * @param isFixed says whether nothing in an object can change any more. Default: nothing can, in any object
 */
export function memoize<Key extends WeakKey, Value, Args extends readonly unknown[]>(
  make: (key: Key, ...args: Args) => Value,
  isFixed: (key: Key) => boolean = () => true,
): (key: Key, ...args: Args) => Value {
  const cache = new WeakMap<Key, { readonly value: Value }>();
  return (key, ...args) => {
    const cached = cache.get(key);
    if (cached !== undefined) return cached.value;
    const value = make(key, ...args);
    if (isFixed(key)) cache.set(key, { value });
    return value;
  };
}

/**
 * Whether nothing in a value can change: it is frozen at each level, without a getter and without another prototype. Only
 * the time of a Date can still change, even of a frozen one, so the caller compares it.
 *
 * @param levels a value with more of them counts as one that can change, as one that contains itself does
 */
export function isDeeplyFrozen(value: unknown, levels = 8): boolean {
  if (typeof value !== 'object' || value === null) return typeof value !== 'function';
  if (types.isDate(value)) return true;
  if (levels === 0 || !Object.isFrozen(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  const isPlain =
    prototype === null || prototype === Object.prototype || prototype === Array.prototype;
  const properties: readonly PropertyDescriptor[] = Object.values(
    Object.getOwnPropertyDescriptors(value),
  );
  return (
    isPlain &&
    properties.every(
      (property) => 'value' in property && isDeeplyFrozen(property.value, levels - 1),
    )
  );
}
