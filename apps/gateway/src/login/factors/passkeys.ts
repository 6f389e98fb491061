import { randomBytes } from 'node:crypto';
import type { Logger } from '@sallyport/authenticator';
import { z } from 'zod';
import type { FactorRecord, FactorUser, PasskeyFactor } from './factor-record.ts';
import type { Change, FactorStore } from './factor-store.ts';

/** How long a browser waits for the person, in milliseconds. */
const timeout = 5 * 60_000;

/** EdDSA, ES256 and RS256 as COSE numbers them. Some devices with Windows have RS256 alone. */
const algorithms = [-8, -7, -257];

/** 1,023 bytes in base64url. */
const maxIdLength = 1_364;

const encoded = z.base64url().min(1);
const credential = { id: encoded, rawId: encoded, type: z.literal('public-key') };

const registration = z.object({
  ...credential,
  response: z.object({
    clientDataJSON: encoded,
    attestationObject: encoded,
    transports: z
      .array(z.string().regex(/^[a-z-]{1,32}$/))
      .max(8)
      .catch([]),
  }),
});

const authentication = z.object({
  ...credential,
  response: z.object({
    clientDataJSON: encoded,
    authenticatorData: encoded,
    signature: encoded,
    userHandle: z.string().nullish(),
  }),
});

/** Why a response of a browser was refused. It reaches logs alone. */
type PasskeyReason =
  | 'unreadable'
  | 'unknown-key'
  | 'type'
  | 'challenge'
  | 'origin'
  | 'rp-id'
  | 'user-verification'
  | 'attestation'
  | 'signature';

interface WrongPasskey {
  readonly kind: 'wrong';
  readonly reason: PasskeyReason;
}

/** A key that a browser has just made. */
type NewPasskey = Omit<PasskeyFactor, 'id' | 'name' | 'addedAt' | 'usedAt'>;

const refuse = (reason: PasskeyReason): WrongPasskey => ({ kind: 'wrong', reason });

/** What the library says, by a word of its message: the whole message quotes the response. */
const reasons: readonly (readonly [RegExp, PasskeyReason])[] = [
  [/response type/, 'type'],
  [/response challenge/, 'challenge'],
  [/origin/, 'origin'],
  [/RP ID/, 'rp-id'],
  [/^User /, 'user-verification'],
];

function findReason(error: unknown): PasskeyReason {
  const message = error instanceof Error ? error.message : '';
  return reasons.find(([words]) => words.test(message))?.[1] ?? 'unreadable';
}

interface PasskeysOptions {
  /** The URL of the login server: its host name is the RP ID (WebAuthn, section 4). */
  readonly publicUrl: string;
  readonly store: Pick<FactorStore, 'change'>;
  readonly logger: Pick<Logger, 'warn'>;
  /** The wall clock, in milliseconds since 1970. */
  readonly now: () => number;
}

export type Passkeys = ReturnType<typeof createPasskeys>;

/** Adds passkeys, and checks them. Each challenge must be used for one response only. */
export function createPasskeys({ publicUrl, store, logger, now }: PasskeysOptions) {
  const { origin, hostname: rpId } = new URL(publicUrl);
  const site = { origin, rpId };
  return {
    /** Makes the options by which a browser makes a key (WebAuthn, section 5.4). */
    beginRegistration(user: FactorUser, record: FactorRecord) {
      const challenge = newChallenge();
      return {
        challenge,
        options: {
          challenge,
          rp: { id: rpId, name: rpId },
          user: { id: makeHandle(record), name: user.name, displayName: user.name },
          pubKeyCredParams: algorithms.map((alg) => ({ type: 'public-key', alg })),
          timeout,
          attestation: 'none',
          excludeCredentials: record.passkeys.map(describePasskey),
          authenticatorSelection: {
            residentKey: 'preferred',
            requireResidentKey: false,
            userVerification: 'required',
          },
        },
      };
    },
    /**
     * Checks a key that a browser has made.
     *
     * @param response JSON of the browser
     * @throws Error if the library can't be loaded
     */
    finishRegistration(challenge: string, response: string): Promise<NewKey | WrongPasskey> {
      const credential = parse(registration, response);
      return credential === undefined
        ? Promise.resolve(refuse('unreadable'))
        : checkNew(credential, challenge, site);
    },
    /** Makes the options by which a browser proves that it has a key of the user (WebAuthn, section 5.5). */
    beginAuthentication({ passkeys }: FactorRecord) {
      const challenge = newChallenge();
      const allowCredentials = passkeys.map(describePasskey);
      return {
        challenge,
        options: { challenge, rpId, timeout, userVerification: 'required', allowCredentials },
      };
    },
    /**
     * Checks the answer of a key, and notes its use.
     *
     * @param record of the user
     * @param response JSON of the browser
     * @throws Error if the library can't be loaded, and as `FactorStore.change`
     */
    async finishAuthentication(
      user: FactorUser,
      record: FactorRecord,
      challenge: string,
      response: string,
    ): Promise<UsedKey | WrongPasskey> {
      const credential = parse(authentication, response);
      if (credential === undefined) return refuse('unreadable');
      const key = record.passkeys.find((passkey) => passkey.credential === credential.id);
      const handle = credential.response.userHandle ?? makeHandle(record);
      if (key === undefined || handle !== makeHandle(record)) return refuse('unknown-key');
      const counter = await checkAnswer(credential, key, challenge, site);
      if (typeof counter !== 'number') return counter;
      // Synchronized keys have no counter. Another one may fall after a restore of a backup: that is no reason to lock it out.
      if (counter <= key.counter && counter + key.counter > 0)
        logger.warn(
          { authenticator: user.authenticator, username: user.name, passkey: key.name },
          'counter of a passkey did not rise: it may have been copied',
        );
      return store.change(user, (current) => useKey(current, record.id, key, counter, now()));
    },
  };
}

/** A key that was right. */
interface UsedKey {
  readonly kind: 'right';
  readonly key: PasskeyFactor;
}

/** A key that can be added. */
interface NewKey {
  readonly kind: 'right';
  readonly key: NewPasskey;
}

interface Site {
  readonly origin: string;
  readonly rpId: string;
}

const newChallenge = () => randomBytes(32).toString('base64url');

/** Names the user to their keys, without a name of a person (WebAuthn, section 14.6.1). */
const makeHandle = ({ id }: FactorRecord) => Buffer.from(id).toString('base64url');

const describePasskey = ({ credential: id, transports }: PasskeyFactor) => ({
  type: 'public-key',
  id,
  transports,
});

function parse<Given>(schema: z.ZodType<Given>, response: string): Given | undefined {
  try {
    return schema.safeParse(JSON.parse(response)).data;
  } catch {
    return undefined;
  }
}

/**
 * Loads the library at the first response that is checked: it takes a third of a second, and changes `Reflect` for the whole
 * process.
 */
async function load() {
  const [server, { decodeAttestationObject }] = await Promise.all([
    import('@simplewebauthn/server'),
    import('@simplewebauthn/server/helpers'),
  ]);
  return { ...server, decodeAttestationObject };
}

async function checkNew(
  credential: z.infer<typeof registration>,
  challenge: string,
  { origin, rpId }: Site,
): Promise<NewKey | WrongPasskey> {
  const { decodeAttestationObject, verifyRegistrationResponse } = await load();
  const { transports, ...response } = credential.response;
  try {
    const attestation = decodeAttestationObject(decodeBytes(response.attestationObject));
    const hasCertificates = attestation.get('attStmt').get('x5c') !== undefined;
    // No certificate was asked for. To check one, the library would send requests to addresses in it.
    if (hasCertificates || !['none', 'packed'].includes(attestation.get('fmt')))
      return refuse('attestation');
    const { verified, registrationInfo } = await verifyRegistrationResponse({
      response: { ...credential, response, clientExtensionResults: {} },
      expectedChallenge: challenge,
      expectedOrigin: origin,
      expectedRPID: rpId,
      requireUserVerification: true,
      supportedAlgorithmIDs: algorithms,
    });
    if (!verified) return refuse('signature');
    const { id, publicKey, counter } = registrationInfo.credential;
    // WebAuthn, section 4, limits the id. The key of RSA with 8,192 bits is shorter than this.
    const isStorable =
      id === credential.id && id.length <= maxIdLength && publicKey.length <= 2_048;
    if (!isStorable) return refuse('unreadable');
    const key = {
      credential: id,
      publicKey: Buffer.from(publicKey).toString('base64url'),
      counter,
      transports,
      isSynced: registrationInfo.credentialDeviceType === 'multiDevice',
    };
    return { kind: 'right', key };
  } catch (error) {
    return refuse(findReason(error));
  }
}

/** @returns the counter of the key */
async function checkAnswer(
  credential: z.infer<typeof authentication>,
  key: PasskeyFactor,
  challenge: string,
  { origin, rpId }: Site,
): Promise<number | WrongPasskey> {
  const { verifyAuthenticationResponse } = await load();
  const { userHandle: _, ...response } = credential.response;
  try {
    const { verified, authenticationInfo } = await verifyAuthenticationResponse({
      response: { ...credential, response, clientExtensionResults: {} },
      expectedChallenge: challenge,
      expectedOrigin: origin,
      expectedRPID: rpId,
      requireUserVerification: true,
      // The library would refuse a counter that falls.
      credential: { id: key.credential, publicKey: decodeBytes(key.publicKey), counter: 0 },
    });
    return verified ? authenticationInfo.newCounter : refuse('signature');
  } catch (error) {
    return refuse(findReason(error));
  }
}

const decodeBytes = (text: string) => new Uint8Array(Buffer.from(text, 'base64url'));

/** Notes the use of a key, unless it was removed since the record was read. @param id of that record */
function useKey(
  current: FactorRecord | undefined,
  id: string,
  { credential }: PasskeyFactor,
  counter: number,
  now: number,
): Change<UsedKey | WrongPasskey> {
  const key = current?.passkeys.find((passkey) => passkey.credential === credential);
  if (current?.id !== id || key === undefined) return { result: refuse('unknown-key') };
  const usedKey = { ...key, counter, usedAt: now };
  const passkeys = current.passkeys.map((passkey) => (passkey === key ? usedKey : passkey));
  return { record: { ...current, passkeys }, result: { kind: 'right', key: usedKey } };
}
