/** The exit status of every command. */
export const exitCodes = {
  success: 0,
  /** Something is wrong with the config, a file or a backend. */
  failure: 1,
  /** The command line is wrong. */
  usage: 2,
  /** `explain`: the token or user is refused or unknown. `revoke`, `unlock`: there was nothing to revoke or unlock. */
  negative: 3,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** The command line is wrong: the message says what to write. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
