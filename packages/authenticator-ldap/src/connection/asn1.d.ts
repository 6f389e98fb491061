/** Declares what codec.ts uses of @ldapjs/asn1 2.0.0, as its sources have it. */

declare module '@ldapjs/asn1' {
  interface BerReader {
    /** The length that `readLength` read. It is negative when its four bytes have the highest bit set. */
    readonly length: number;
    /**
     * Returns where the value begins, or null when the length is cut off. It does not check the
     * length against the bytes.
     */
    readLength(offset: number): number | null;
  }
  interface BerWriter {
    readonly buffer: Buffer;
    startSequence(tag: number): void;
    endSequence(): void;
    writeInt(value: number): void;
    writeEnumeration(value: number): void;
    writeString(text: string, tag?: number): void;
    writeBuffer(value: Buffer, tag: number): void;
    writeBoolean(value: boolean, tag?: number): void;
  }
  const asn1: {
    readonly BerReader: new (bytes: Buffer) => BerReader;
    readonly BerWriter: new () => BerWriter;
  };
  export default asn1;
  export type { BerWriter };
}
