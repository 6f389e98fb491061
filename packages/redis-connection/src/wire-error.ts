/** What a server sent that no Redis sends: a closed set, since messages show it. */
export type WireOffence =
  | 'an answer that no command asked for'
  | 'an answer to another command'
  | 'an answer that is too big'
  | 'bytes that are not the Redis protocol'
  | 'a redirection that names no node'
  | 'slots that no cluster has';

/** After this no answer on that connection can be matched to its command, so the connection ends. */
export class WireError extends Error {
  override readonly name = 'WireError';
  readonly offence: WireOffence;

  constructor(offence: WireOffence) {
    super(`the server sent ${offence}`);
    this.offence = offence;
  }
}
