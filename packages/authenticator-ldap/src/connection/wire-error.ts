/** What came over the wire cannot be used; the connection makes a ServerFault of the same kind of it. */
export class WireError extends Error {
  override readonly name = 'WireError';
  readonly kind: 'protocol' | 'too-large';

  constructor(kind: WireError['kind'], message: string) {
    super(message);
    this.kind = kind;
  }
}
