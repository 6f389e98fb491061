/** A request to the login server that was answered. The login server describes it, and observers take nothing from there. */
export interface LoginEvent {
  readonly action: string;
  readonly outcome: string;
  /** Whether it decides about a login. */
  readonly isDecision: boolean;
  /** Why it was refused. */
  readonly reason?: string | undefined;
  /** The fields of its line in the audit trail. */
  readonly details: object;
  /** Wall clock, milliseconds since 1970. */
  readonly at: number;
  readonly seconds: number;
  readonly token?: string | undefined;
  /** The session that it made, or came with. */
  readonly session?: object | undefined;
  /** How many sessions it has ended. */
  readonly ended?: number | undefined;
}
