import { types } from 'node:util';

/**
 * Says whether an answer of a layer is a promise. If not, it is there already: it came from memory, or is about a static token.
 * Most reviews of a busy cluster get such answers, and a promise in each layer would make them a fifth slower. Other files ask
 * by this function, or go on by `after`.
 */
export function isLate<Value>(answer: Value | Promise<Value>): answer is Promise<Value> {
  return answer instanceof Promise;
}

/**
 * Goes on with an answer: immediately when it is there, else when its promise settles. (Its name is not `then`, since a module
 * that exports a `then` can't be imported.)
 *
 * @param failed makes a result of the error when the promise rejects; default: the result rejects too
 */
export function after<Given, Made>(
  answer: Given | Promise<Given>,
  next: (given: Given) => Made | Promise<Made>,
  failed?: (error: unknown) => Made | Promise<Made>,
): Made | Promise<Made> {
  return isLate(answer) ? answer.then(next, failed) : next(answer);
}

/**
 * Makes something of an object once, and remembers it for as long as there is that object.
 *
 * @param make its result must depend on the object alone, not on `more`: only the object is remembered
 * @param isFixed says whether nothing in an object can change any more. Default: nothing can, in any object
 */
export function remembering<Given extends WeakKey, Made, More extends readonly unknown[]>(
  make: (given: Given, ...more: More) => Made,
  isFixed: (given: Given) => boolean = () => true,
): (given: Given, ...more: More) => Made {
  const known = new WeakMap<Given, { readonly made: Made }>();
  return (given, ...more) => {
    const before = known.get(given);
    if (before !== undefined) return before.made;
    const made = make(given, ...more);
    if (isFixed(given)) known.set(given, { made });
    return made;
  };
}

/**
 * Whether nothing in a value can change: it is frozen at each level, without a getter and a prototype of its own. Only
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
    isPlain && properties.every((one) => 'value' in one && isDeeplyFrozen(one.value, levels - 1))
  );
}
