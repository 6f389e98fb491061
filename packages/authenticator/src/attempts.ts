/** What came of a password that was sent: `unavailable` when the backend did not say. */
export type AttemptOutcome = 'accepted' | 'refused' | 'unavailable';

/**
 * A try that may go out. Its place is held until `settle` tells what came of it. One that is never settled counts as
 * refused after 60 s; a later `settle` still puts that right.
 */
export interface AdmittedAttempt {
  readonly admitted: true;
  /**
   * Gives the place back, or counts it on `refused`. A second call does nothing. Settle when the backend's work for this
   * subject has ended, not when you stop waiting for it: the place is what bounds that work.
   */
  settle(outcome: AttemptOutcome): Promise<void>;
}

/** A try that must not go out. */
export interface DeniedAttempt {
  readonly admitted: false;
  /**
   * `invalid-credentials`: this very secret was refused for this subject a moment ago.
   * `throttled`: the subject had `lockout.maxFailures` refused tries in `lockout.window`.
   */
  readonly reason: 'invalid-credentials' | 'throttled';
}

/**
 * The lockout guard for plugins that send passwords to a directory which locks accounts. A secret that was right
 * before and not refused since is always admitted, so nobody can lock somebody else out.
 */
export interface Attempts {
  /**
   * Asks before a password goes out. It waits up to 1 s for tries of this subject that are under way: at most three of
   * them go out at a time, and a fourth with a secret that was right before.
   *
   * @param subject the name as the backend knows it, never as typed: else each spelling has a count of its own
   * @param secret kept only as a keyed digest
   * @param signal that of the call: ends the waiting. Left out: look at your signal afterwards, settle `unavailable` and
   *   throw when it is aborted
   * @param username as a decision about this user would have it, so that `sallyport lockouts` can list and `unlock` can name
   *   them. Left out: the subject
   * @throws AuthenticatorError `failed` for a new subject when very many (100,000) are counted, when 8 tries of this
   *   subject wait already, or when those before them, here or on other replicas, or the Redis that counts them, take
   *   too long (1 s): let it pass
   * @throws the reason of the signal when it is aborted
   */
  admit(
    subject: string,
    secret: string,
    signal?: AbortSignal,
    username?: string,
  ): Promise<AdmittedAttempt | DeniedAttempt>;
}
