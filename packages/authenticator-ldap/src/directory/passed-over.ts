/**
 * - `busy`: all its connections stayed in use
 * - `refused`: it does not take the service account
 * - `left-alone`: its circuit is open, or it is no server of ours any more
 */
export type PassedOverKind = 'busy' | 'refused' | 'left-alone';

/**
 * A server was not asked, for a reason that its circuit has counted already or must not count: the next one is asked.
 * Never leaves the directory: when no server is left, its message becomes part of the AuthenticatorError's.
 */
export class PassedOver extends Error {
  override readonly name = 'PassedOver';
  readonly kind: PassedOverKind;

  constructor(kind: PassedOverKind, message: string) {
    super(message);
    this.kind = kind;
  }
}
