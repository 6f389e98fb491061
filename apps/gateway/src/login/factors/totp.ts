import { createHmac } from 'node:crypto';
import { isEqual } from '../secret-text.ts';

/** The length of a time step in milliseconds (RFC 6238, section 4.1, X). */
const stepLength = 30_000;
const digits = 6;
/** The steps before and after the present one whose codes are valid, since clocks differ (RFC 6238, section 5.2). */
const drift = 1;

/** The length of a secret in bytes (RFC 4226, section 4, R6). */
export const secretLength = 20;

/** Returns the number of the step at a time. @param now the wall clock in milliseconds */
export function stepAt(now: number): number {
  return Math.floor(now / stepLength);
}

/**
 * Makes the code of a step (RFC 4226, section 5.3). The hash is SHA-1: some apps ignore any other one.
 *
 * @param length the examples of RFC 6238 have 8 digits, and no app has
 */
export function computeCode(secret: Uint8Array, step: number, length = digits): string {
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(step));
  const mac = createHmac('sha1', secret).update(counter).digest();
  const offset = (mac.at(-1) ?? 0) & 0xf;
  const number = mac.readUInt32BE(offset) & 0x7f_ff_ff_ff;
  return String(number % 10 ** length).padStart(length, '0');
}

/**
 * Finds the step whose code was given.
 *
 * @param steps how many steps before and after the present one count
 * @returns undefined for a wrong code
 */
export function stepOfCode(
  secret: Uint8Array,
  code: string,
  now: number,
  steps: number = drift,
): number | undefined {
  const present = stepAt(now);
  // All are compared, so that the time does not show which one was near. The steps next to the present one come first.
  const candidateSteps = Array.from({ length: 2 * steps + 1 }, (_, index) => {
    const distance = Math.ceil(index / 2);
    return present + (index % 2 === 0 ? distance : -distance);
  });
  return candidateSteps.filter((step) => step >= 0 && isEqual(computeCode(secret, step), code))[0];
}

/** How far a clock can be off to be found out, in steps: an hour. */
const searchedSteps = 120;

/**
 * Finds out whether a wrong code is a code of another time.
 *
 * @returns by how many minutes the clock of the app differs; undefined if the code is none of its codes
 */
export function minutesOff(secret: Uint8Array, code: string, now: number): number | undefined {
  const step = stepOfCode(secret, code, now, searchedSteps);
  // The app may have shown the code at any time of the step.
  return step === undefined ? undefined : Math.round(((step + 0.5) * stepLength - now) / 60_000);
}

/** Writes how far a clock is off. @param minutes as {@link minutesOff} returns them */
export function minutesText(minutes: number): string {
  return `${Math.max(1, Math.abs(minutes))}m`;
}

/** RFC 4648, section 6. */
const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** Writes a secret as apps take it: base32 without padding. */
export function secretText(secret: Uint8Array): string {
  const bits = Array.from(secret, (byte) => byte.toString(2).padStart(8, '0')).join('');
  return (bits.match(/.{1,5}/g) ?? [])
    .map((bits) => alphabet[Number.parseInt(bits.padEnd(5, '0'), 2)])
    .join('');
}

/**
 * Writes the URI that a QR code contains (https://github.com/google/google-authenticator/wiki/Key-Uri-Format).
 *
 * @param issuer the host name of the login server
 */
export function totpUri(issuer: string, username: string, secret: Uint8Array): string {
  // The format allows no colon in either name.
  const account = encodeURIComponent(username.replaceAll(':', ' ').toWellFormed());
  return `otpauth://totp/${encodeURIComponent(issuer)}:${account}?secret=${secretText(secret)}&issuer=${encodeURIComponent(issuer)}`;
}
