/** The command line itself is wrong: the message says what to write. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
