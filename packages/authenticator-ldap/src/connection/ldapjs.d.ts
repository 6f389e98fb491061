/** What codec.ts uses of ldapjs 3.0.7 and @ldapjs/asn1 2.0.0, as their sources have it. */

declare module '@ldapjs/asn1' {
  interface BerReader {
    readonly remain: number;
    readonly offset: number;
    /** Of the field that `readLength` read; negative when its four bytes have the highest bit set. */
    readonly length: number;
    readonly buffer: Buffer;
    peek(): number | null;
    /** Where the value begins; null when the length is cut off. It is not checked against the bytes that are there. */
    readLength(offset: number): number | null;
    setOffset(offset: number): void;
  }
  interface BerWriter {
    readonly buffer: Buffer;
    startSequence(tag?: number): void;
    endSequence(): void;
    writeString(text: string, tag?: number): void;
    writeBuffer(value: Buffer, tag: number): void;
    writeBoolean(value: boolean, tag: number): void;
  }
  const asn1: {
    readonly BerReader: new (bytes: Buffer) => BerReader;
    readonly BerWriter: new () => BerWriter;
  };
  export default asn1;
  export type { BerReader, BerWriter };
}

declare module 'ldapjs' {
  import type { BerReader } from '@ldapjs/asn1';

  class LdapMessage {
    toBer(): BerReader;
  }
  class Control {
    readonly type: string;
  }
  /** ldapjs recognizes base DNs and filters by their toStringTag, so any object with it is accepted. */
  interface DnLike {
    readonly [Symbol.toStringTag]: 'LdapDn';
    toString(): string;
  }
  interface FilterLike {
    readonly [Symbol.toStringTag]: 'FilterString';
    toBer(): { readonly buffer: Buffer };
  }
  class SearchRequest extends LdapMessage {
    constructor(fields: {
      readonly messageId: number;
      readonly baseObject: DnLike;
      readonly scope: 'base' | 'one' | 'sub';
      readonly sizeLimit: number;
      readonly filter: FilterLike;
    });
    /** Its own array, not a copy. */
    readonly attributes: string[];
  }
  const ldapjs: {
    readonly BindRequest: new (fields: {
      readonly messageId: number;
      readonly name: string;
      readonly credentials: string;
      readonly controls: readonly Control[];
    }) => LdapMessage;
    readonly SearchRequest: typeof SearchRequest;
    readonly ExtendedRequest: new (fields: { readonly messageId: number; readonly requestName: string }) => LdapMessage;
    readonly UnbindRequest: new (fields: { readonly messageId: number }) => LdapMessage;
    readonly PasswordPolicyControl: new () => Control;
  };
  export default ldapjs;
  export type { LdapMessage };
}
