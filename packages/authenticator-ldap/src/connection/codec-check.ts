import { encodeBind, encodeSearch, readElements } from './codec.ts';

/**
 * ldapjs is pinned, the packages that it is made of are not: what is relied upon is tried once. A base DN with its
 * backslash, an attribute by its OID, values that are no UTF-8, the control, a length of four bytes (AD writes those).
 */
export function checkCodec(): void {
  const value = Buffer.from('ff005c', 'hex');
  const filters = [
    { kind: 'equality', attribute: 'a', value },
    { kind: 'approximate', attribute: 'b', value },
  ] as const;
  const filter = { kind: 'and', filters } as const;
  const search = encodeSearch(7, { base: 'b=\\5C', scope: 'sub', filter, attributes: ['2.5'], sizeLimit: 2 });
  const bind = encodeBind(7, { dn: 'b=\\5C', password: 'p' });
  const written = Buffer.concat([search, bind]).toString('latin1');
  const expected =
    '0\x38\x02\x01\x07c\x33\x04\x05b=\\5C\x0a\x01\x02\x0a\x01\0\x02\x01\x02\x02\x01\0\x01\x01\0' +
    '\xa0\x14\xa3\x08\x04\x01a\x04\x03\xff\0\\\xa8\x08\x04\x01b\x04\x03\xff\0\\0\x05\x04\x032.5' +
    '0\x34\x02\x01\x07`\x0d\x02\x01\x03\x04\x05b=\\5C\x80\x01p' +
    '\xa0\x200\x1e\x04\x191.3.6.1.4.1.42.2.27.8.5.1\x01\x01\0';
  const [read] = readElements(Buffer.from('8084000000020500', 'hex'), { elements: 1 });
  if (written !== expected || read?.tag !== 0x80 || read.content.toString('hex') !== '0500') {
    throw new Error(
      'ldapjs reads or writes LDAP in another way than version 3.0.7 with the packages it was tested with: ' +
        'install what the lockfile has (@ldapjs/asn1 2.0.0, @ldapjs/messages 1.3.0, @ldapjs/filter 2.1.1, @ldapjs/controls 2.1.0)',
    );
  }
}
