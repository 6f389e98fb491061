/**
 * An answer of a layer is there at once (from memory, of a static token), or it is a promise. Most reviews of a busy cluster
 * get the first kind, and a promise in each layer would make them a fifth slower. Which of the two an answer is, is asked in
 * this file alone.
 */
export function isLate<Answer>(answer: Answer | Promise<Answer>): answer is Promise<Answer> {
  return answer instanceof Promise;
}

/** Goes on with an answer: at once when it is there. (A module that exports a `then` can't be imported.) @param failed what a promise that rejects becomes */
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
 * @param isFixed whether nothing in an object can change any more. Left out: it is so for all of them
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

/** Whether nothing in a value can change: frozen at each level, without a getter, a prototype of its own or a Date. */
export function isDeeplyFrozen(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return typeof value !== 'function';
  if (!Object.isFrozen(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  const isPlain = prototype === null || prototype === Object.prototype || prototype === Array.prototype;
  const properties: readonly PropertyDescriptor[] = Object.values(Object.getOwnPropertyDescriptors(value));
  return isPlain && properties.every((one) => 'value' in one && isDeeplyFrozen(one.value));
}
