/** The codes of RFC 4511 section 4.1.9. The numbers that it leaves out (9, 35, ...) have no name. */
const codes = `
  0 success, 1 operationsError, 2 protocolError, 3 timeLimitExceeded, 4 sizeLimitExceeded, 5 compareFalse,
  6 compareTrue, 7 authMethodNotSupported, 8 strongerAuthRequired, 10 referral, 11 adminLimitExceeded,
  12 unavailableCriticalExtension, 13 confidentialityRequired, 14 saslBindInProgress, 16 noSuchAttribute,
  17 undefinedAttributeType, 18 inappropriateMatching, 19 constraintViolation, 20 attributeOrValueExists,
  21 invalidAttributeSyntax, 32 noSuchObject, 33 aliasProblem, 34 invalidDNSyntax,
  36 aliasDereferencingProblem, 48 inappropriateAuthentication, 49 invalidCredentials,
  50 insufficientAccessRights, 51 busy, 52 unavailable, 53 unwillingToPerform, 54 loopDetect,
  64 namingViolation, 65 objectClassViolation, 66 notAllowedOnNonLeaf, 67 notAllowedOnRDN,
  68 entryAlreadyExists, 69 objectClassModsProhibited, 71 affectsMultipleDSAs, 80 other
`;

const names: ReadonlyMap<number, string> = new Map(
  codes.split(',').map((pair) => {
    const [code, name = ''] = pair.trim().split(' ');
    return [Number(code), name];
  }),
);

export function resultCodeName(code: number): string {
  return names.get(code) ?? 'other';
}

export type SearchOutcome =
  | 'ok' // the answer has all entries
  | 'size-limit' // there are more entries than were asked for, or than the server gives
  | 'not-found' // a referral: the entry is on another server, and referrals are not followed
  | 'no-such-object' // the base does not exist, which is an error of the server if the options name the base
  | 'failed' // only this search fails (time and admin limits, values that the schema does not accept)
  | 'server'; // the server can't answer, or the code is unknown: another server is asked

const outcomes: ReadonlyMap<number, SearchOutcome> = new Map([
  [0, 'ok'],
  [3, 'failed'],
  [4, 'size-limit'],
  [10, 'not-found'],
  [11, 'failed'],
  [18, 'failed'],
  [21, 'failed'],
  [32, 'no-such-object'],
  [34, 'failed'],
]);

export function classifySearch(code: number): SearchOutcome {
  return outcomes.get(code) ?? 'server';
}

/** Whether the code is busy or unavailable (RFC 4511 appendix A.2): an outage, even as the answer to a bind. */
export function isServerOutage(code: number): boolean {
  return code === 51 || code === 52;
}

/** Words a code for messages: `32 noSuchObject`. */
export function namedCode(code: number): string {
  return `${code} ${resultCodeName(code)}`;
}
