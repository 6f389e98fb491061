/** The JSON of what became of the tokens: revoked now or before, and why not all of an authenticator could be revoked. */
export type Outcome = Readonly<Record<'revoked' | 'already' | 'unreadable' | 'problems', object[]>>;

export function noOutcome(): Outcome {
  return { revoked: [], already: [], unreadable: [], problems: [] };
}

/** Whether each token of the subject is revoked. */
export function isComplete({ unreadable, problems }: Outcome): boolean {
  return unreadable.length + problems.length === 0;
}
