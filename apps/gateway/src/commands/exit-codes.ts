/** The exit status of every command. */
export const exitCodes = {
  success: 0,
  /** Something is wrong with the config, a file or a backend. */
  fault: 1,
  /** The command line itself. */
  usage: 2,
  /** `explain`: the token was checked, and it is refused or nobody's. */
  refused: 3,
  /** `revoke`: it did what it could, and there was no token to revoke. */
  nothingRevoked: 3,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];
