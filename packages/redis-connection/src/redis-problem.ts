import type { FaultKind } from './fault-kind.ts';

/** Redis, or the way to it, did not do what was asked. The message names the servers, and no password. */
export class RedisProblem extends Error {
  override readonly name = 'RedisProblem';
  readonly kind: FaultKind;

  constructor(kind: FaultKind, message: string) {
    super(message);
    this.kind = kind;
  }
}
