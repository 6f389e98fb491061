import { comparedAttributes } from './filter/comparison.ts';
import { noComparison } from './login/join.ts';
import type { UserOptions } from './options/types.ts';

/**
 * The attributes of names and addresses that users can write in their own entry. Sources: the self-service permission of FreeIPA
 * (install/share/default-aci.ldif), the rule "Enable self write for common attributes" of the sample entries of 389-DS 1.3.6, and the
 * property sets Personal Information and Web Information, which Active Directory lets each user write (the defaultSecurityDescriptor
 * of the class user in MS-ADSC). Rules of OpenLDAP are often like these, with mail.
 */
const ownAttributes: ReadonlySet<string> = new Set(
  `businessCategory carLicense cn commonName description displayName employeeType facsimileTelephoneNumber fax gecos givenName gn
  homePhone homePostalAddress homeTelephoneNumber inetUserHttpURL info initials ipPhone l labeledURI legalName localityName mail manager
  mobile mobileTelephoneNumber otherHomePhone otherIpPhone otherMobile otherPager otherTelephone ou pager pagerTelephoneNumber
  personalTitle physicalDeliveryOfficeName postalAddress postalCode postOfficeBox registeredAddress rfc822Mailbox roomNumber secretary
  seeAlso sn st street streetAddress surname telephoneNumber title url wWWHomePage x500UniqueIdentifier`
    .toLowerCase()
    .split(/\s+/),
);

/** Warns of options by which users of other authenticators can't be found, or by which a user could choose whose groups they get. */
export function joinWarnings({ find }: UserOptions): readonly string[] {
  // A user can't rename their entry.
  if (find.by === 'dn') return [];
  const { comparison } = find.lookUpFilter ?? find.filter;
  if (comparison === undefined) return [noComparison];
  const chosen = comparedAttributes(comparison).filter((attribute) =>
    ownAttributes.has(attribute.toLowerCase().split(';')[0] ?? ''),
  );
  if (chosen.length === 0) return [];
  const option =
    find.lookUpFilter === undefined ? 'the filter of options.user' : 'user.lookUpFilter';
  const risk = `in many directories users can write ${chosen.length === 1 ? 'it' : 'them'} in their own entry, and so give their groups to another account, or keep another user from being found`;
  const fix =
    'Make sure that only administrators can, or set user.lookUpFilter to an attribute such as uid, sAMAccountName or userPrincipalName';
  return [
    `${option} finds users of other authenticators by ${chosen.join(' and ')}: ${risk}. ${fix}`,
  ];
}
