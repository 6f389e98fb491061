/** The result of a password that was sent: `unavailable` when the backend gave none. */
export type AttemptOutcome = 'accepted' | 'refused' | 'unavailable';

/**
 * An attempt that may be sent. It holds a slot until `settle` reports its result. One that is never settled counts as
 * refused after 60 s; a later `settle` still corrects that.
 */
export interface AdmittedAttempt {
  readonly admitted: true;
  /**
   * Frees the slot, and counts the attempt on `refused`. A second call does nothing. Settle when the backend's work for
   * this subject has ended, not when you stop waiting for it: the slot is what bounds that work.
   */
  settle(outcome: AttemptOutcome): Promise<void>;
}

/** An attempt that must not be sent. */
export interface DeniedAttempt {
  readonly admitted: false;
  /**
   * `invalid-credentials`: this secret was refused for this subject a moment ago.
   * `throttled`: the subject had `lockout.maxFailures` refused attempts in `lockout.window`.
   */
  readonly reason: 'invalid-credentials' | 'throttled';
}

/**
 * The lockout guard for plugins that send passwords to a directory which locks accounts. A secret that was right
 * before and not refused since is always admitted, so no one can lock another user out.
 */
export interface Attempts {
  /**
   * Call it before you send a password. It waits up to 1 s for attempts of this subject that are in progress: at most
   * three of them are sent at a time, and a fourth with a secret that was right before.
   *
   * @param subject the name as the backend knows it, never as typed: otherwise each spelling has a count of its own
   * @param secret stored only as a keyed digest
   * @param signal of the call: it ends the waiting. Left out: check your signal afterwards, settle `unavailable` and
   *   throw when it is aborted
   * @param username as in a decision about this user: `sallyport lockouts` lists it and `unlock` takes it. Left out: the
   *   subject
   * @throws AuthenticatorError `failed` for a new subject when very many (100,000) are counted, when 8 attempts of
   *   this subject wait already, or when those before them, here or on other replicas, or the Redis that counts them, take
   *   too long (1 s): do not catch it
   * @throws the reason of the signal when it is aborted
   */
  admit(
    subject: string,
    secret: string,
    signal?: AbortSignal,
    username?: string,
  ): Promise<AdmittedAttempt | DeniedAttempt>;
}
