import { z } from 'zod';
import type { FactorMethod } from '../../config/second-factor.ts';

const text = z.string().min(1);
/** A time in milliseconds since 1970. */
const time = z.int().nonnegative();

export const factorUserSchema = z.strictObject({
  authenticator: text,
  /** As the backend names them. */
  username: text,
  uid: text.exactOptional(),
  /** As Kubernetes sees them. */
  name: text,
});

/** A user who can have a second factor. */
export type FactorUser = Readonly<z.infer<typeof factorUserSchema>>;

const factor = {
  /** It is random, and names the factor in lists. */
  id: text,
  /** The name that the user gave it. */
  name: text,
  addedAt: time,
  usedAt: time.exactOptional(),
};

const totp = z.strictObject({
  ...factor,
  /** Base64url. */
  secret: text,
  /** The last time step whose code was used. No code of this step or an earlier one is accepted (RFC 6238, section 5.2). */
  lastStep: z.int().nonnegative(),
});

const passkey = z.strictObject({
  ...factor,
  /** The credential ID in base64url. */
  credential: text,
  /** The public key as COSE, in base64url. */
  publicKey: text,
  counter: z.int().nonnegative(),
  transports: z.array(z.string()).readonly(),
  /** Whether the key is synchronized between devices. */
  isSynced: z.boolean(),
});

const record = z.strictObject({
  /** It is random, and another one after each reset: what was begun before has no effect on the new record. */
  id: text,
  user: factorUserSchema,
  invitation: z
    .strictObject({ digest: text, until: time, at: time, by: text, reason: text.exactOptional() })
    .exactOptional(),
  totp: z.array(totp).readonly(),
  passkeys: z.array(passkey).readonly(),
  /** The digests of the recovery codes that are left. */
  recovery: z.array(text).readonly(),
  /** It rises when a factor is removed, and with new recovery codes: what was begun before has no effect then. */
  version: z.int().nonnegative(),
  /** How many codes were wrong since `wrongSince`. A right code does not change it: who guesses may wait for one. */
  wrongCodes: z.int().nonnegative(),
  wrongSince: time,
});

type TotpFactor = Readonly<z.infer<typeof totp>>;
export type PasskeyFactor = Readonly<z.infer<typeof passkey>>;
/** What is stored about the second factors of one user. */
export type FactorRecord = Readonly<z.infer<typeof record>>;

/** Parses a record. @returns undefined for any other text */
export function parseRecord(json: string): FactorRecord | undefined {
  try {
    return record.safeParse(JSON.parse(json)).data;
  } catch {
    return undefined;
  }
}

/** A factor as lists show it. */
export interface ListedFactor {
  readonly id: string;
  readonly method: FactorMethod;
  readonly name: string;
  readonly addedAt: number;
  readonly usedAt: number | undefined;
}

/** Lists the factors of a user. */
export function listedFactors({ totp, passkeys }: FactorRecord): readonly ListedFactor[] {
  const list = (method: FactorMethod, factors: readonly (TotpFactor | PasskeyFactor)[]) =>
    factors.map(({ id, name, addedAt, usedAt }) => ({ id, method, name, addedAt, usedAt }));
  return [...list('totp', totp), ...list('passkey', passkeys)];
}

export function hasFactor({ totp, passkeys }: FactorRecord): boolean {
  return totp.length + passkeys.length > 0;
}
