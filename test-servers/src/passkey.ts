import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto';

/** The part of the options of a browser that a key needs, as JSON has them. */
interface Options {
  readonly challenge: string;
}

/** What a test changes in the response of a browser. What is left out is as it should be. */
interface Changes {
  readonly challenge?: string;
  readonly origin?: string;
  readonly rpId?: string;
  readonly type?: string;
  /** Whether the device has asked for a PIN or a finger. Default: true. */
  readonly isVerified?: boolean;
  /** Whether someone has touched the device. Default: true. */
  readonly isPresent?: boolean;
  readonly counter?: number;
  readonly userHandle?: string;
  /** The attestation format. Default: none. */
  readonly format?: string;
  /** The entries of the attestation statement. */
  readonly statement?: ReadonlyMap<string, Cbor>;
  /** Another ID than the ID of the key. */
  readonly id?: string;
}

/** The flags of authenticator data (WebAuthn, section 6.1). */
const flag = { present: 1, verified: 4, canBeSynced: 8, synced: 16, hasKey: 64 };

export interface Passkey {
  /** The credential ID. */
  readonly id: string;
  /** Makes the JSON that a page sends to add the key. */
  create(options: Options, changes?: Changes): string;
  /** Makes the JSON that a page sends to prove that it has the key. */
  get(options: Options, changes?: Changes): string;
}

/**
 * Makes a passkey and the browser around it, which can send what no browser sends. Each key is another one.
 *
 * @param origin of the page
 * @param isSynced whether it is synchronized between devices
 */
export function createPasskey(origin: string, isSynced = false): Passkey {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { x = '', y = '' } = publicKey.export({ format: 'jwk' });
  const own = randomBytes(16).toString('base64url');
  const { hostname } = new URL(origin);
  const cose = new Map<number, Cbor>([
    [1, 2],
    [3, -7],
    [-1, 1],
    [-2, Buffer.from(x, 'base64url')],
    [-3, Buffer.from(y, 'base64url')],
  ]);
  const data = (changes: Changes, flags: number, more: Buffer) => {
    const { rpId = hostname, isVerified = true, isPresent = true, counter = 0 } = changes;
    const all =
      flags |
      (isPresent ? flag.present : 0) |
      (isVerified ? flag.verified : 0) |
      (isSynced ? flag.canBeSynced | flag.synced : 0);
    const count = Buffer.alloc(4);
    count.writeUInt32BE(counter);
    return Buffer.concat([digestOf(rpId), Buffer.of(all), count, more]);
  };
  const clientData = (type: string, options: Options, changes: Changes) =>
    Buffer.from(
      JSON.stringify({
        type: changes.type ?? type,
        challenge: changes.challenge ?? options.challenge,
        origin: changes.origin ?? origin,
        crossOrigin: false,
      }),
    );
  const answer = (response: object, { id = own }: Changes) =>
    JSON.stringify({ id, rawId: id, type: 'public-key', response, clientExtensionResults: {} });
  return {
    id: own,
    create(options, changes = {}) {
      const id = Buffer.from(own, 'base64url');
      // No maker and no model.
      const key = Buffer.concat([Buffer.alloc(16), Buffer.of(0, id.length), id, cbor(cose)]);
      const { format = 'none', statement = new Map() } = changes;
      const attestation = new Map<string, Cbor>([
        ['fmt', format],
        ['attStmt', statement],
        ['authData', data(changes, flag.hasKey, key)],
      ]);
      const response = {
        clientDataJSON: clientData('webauthn.create', options, changes).toString('base64url'),
        attestationObject: cbor(attestation).toString('base64url'),
        transports: ['internal'],
      };
      return answer(response, changes);
    },
    get(options, changes = {}) {
      const authenticatorData = data(changes, 0, Buffer.alloc(0));
      const client = clientData('webauthn.get', options, changes);
      const signed = Buffer.concat([authenticatorData, digestOf(client)]);
      const { userHandle } = changes;
      const response = {
        clientDataJSON: client.toString('base64url'),
        authenticatorData: authenticatorData.toString('base64url'),
        signature: sign('sha256', signed, privateKey).toString('base64url'),
        ...(userHandle !== undefined && { userHandle }),
      };
      return answer(response, changes);
    },
  };
}

function digestOf(value: string | Buffer): Buffer {
  return createHash('sha256').update(value).digest();
}

type Cbor = number | string | Uint8Array | readonly Cbor[] | ReadonlyMap<number | string, Cbor>;

/** Writes CBOR (RFC 8949, section 3). Lengths and numbers are below 65,536. */
function cbor(value: Cbor): Buffer {
  if (typeof value === 'number') return value < 0 ? head(1, -1 - value) : head(0, value);
  if (typeof value === 'string')
    return Buffer.concat([head(3, Buffer.byteLength(value)), Buffer.from(value)]);
  if (value instanceof Uint8Array) return Buffer.concat([head(2, value.length), value]);
  if (value instanceof Map) {
    const pairs = [...value].flatMap(([key, one]) => [cbor(key), cbor(one)]);
    return Buffer.concat([head(5, value.size), ...pairs]);
  }
  const items = value as readonly Cbor[];
  return Buffer.concat([head(4, items.length), ...items.map(cbor)]);
}

function head(major: number, count: number): Buffer {
  const type = major << 5;
  if (count < 24) return Buffer.of(type | count);
  if (count < 256) return Buffer.of(type | 24, count);
  return Buffer.of(type | 25, count >> 8, count & 255);
}
