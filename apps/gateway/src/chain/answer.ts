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

/** Makes something of an object once, and remembers it for as long as there is that object. For frozen ones only. */
export function remembering<Given extends WeakKey, Made, More extends readonly unknown[]>(
  make: (given: Given, ...more: More) => Made,
): (given: Given, ...more: More) => Made {
  const known = new WeakMap<Given, { readonly made: Made }>();
  return (given, ...more) => {
    const before = known.get(given);
    if (before !== undefined) return before.made;
    const made = make(given, ...more);
    known.set(given, { made });
    return made;
  };
}
