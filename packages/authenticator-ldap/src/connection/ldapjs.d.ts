/** Declares what codec.ts uses of ldapjs 3.0.7 and @ldapjs/asn1 2.0.0, as their sources have it. */

declare module '@ldapjs/asn1' {
  interface BerReader {
    /** The length that `readLength` read. It is negative when its four bytes have the highest bit set. */
    readonly length: number;
    readonly buffer: Buffer;
    /**
     * Returns where the value begins, or null when the length is cut off. It does not check the
     * length against the bytes.
     */
    readLength(offset: number): number | null;
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

  interface LdapMessage {
    toBer(): BerReader;
  }
  type Request<Fields, Message = LdapMessage> = new (
    fields: Fields & { readonly messageId: number },
  ) => Message;
  interface SearchFields {
    /** ldapjs recognizes base DNs and filters by their toStringTag, so any object with it is accepted. */
    readonly baseObject: { readonly [Symbol.toStringTag]: 'LdapDn'; toString(): string };
    readonly filter: {
      readonly [Symbol.toStringTag]: 'FilterString';
      toBer(): { readonly buffer: Buffer };
    };
    readonly scope: 'base' | 'one' | 'sub';
    readonly sizeLimit: number;
    readonly timeLimit: number;
  }
  const ldapjs: {
    readonly BindRequest: Request<{
      name: string;
      credentials: string;
      controls: readonly object[];
    }>;
    /** `attributes` is the array of the message, not a copy. */
    readonly SearchRequest: Request<SearchFields, LdapMessage & { readonly attributes: string[] }>;
    readonly ExtendedRequest: Request<{ requestName: string }>;
    readonly UnbindRequest: Request<object>;
    readonly PasswordPolicyControl: new () => object;
  };
  export default ldapjs;
  export type { LdapMessage };
}
