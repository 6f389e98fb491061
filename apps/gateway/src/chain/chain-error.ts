/** The review could not be decided: nobody that answered knew the token, and these authenticators did not answer. */
export class ChainError extends AggregateError {
  override readonly name = 'ChainError';
  /** Names of the authenticators that could not check, in the order in which they failed; `errors` has the same order. */
  readonly authenticators: readonly string[];

  constructor(failures: readonly { readonly authenticator: string; readonly error: Error }[]) {
    const names = failures.map((failure) => failure.authenticator);
    super(
      failures.map((failure) => failure.error),
      `${names.length === 1 ? 'authenticator' : 'authenticators'} ${names.join(', ')} unavailable`,
    );
    this.authenticators = names;
  }
}
