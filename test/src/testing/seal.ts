import { createCipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto';

/** What a text is sealed for. */
interface Purpose {
  /** The key prefix of the Redis. Default: `sallyport:`. */
  readonly place?: string;
  readonly purpose: string;
  readonly name: string;
}

/** Derives a key as a gateway does. @param key in base64 */
export function deriveKey(
  key: string,
  { place = 'sallyport:', purpose }: Pick<Purpose, 'place' | 'purpose'>,
): Buffer {
  const salt = `sallyport cache v1${place}`;
  return Buffer.from(hkdfSync('sha256', Buffer.from(key, 'base64'), salt, purpose, 32));
}

/** Seals a text as a gateway does, to see what becomes of texts that no gateway would write now. @param key in base64 */
export function sealAs(key: string, { name, ...purpose }: Purpose, plain: string): Buffer {
  const nonce = randomBytes(12);
  const ownKey = createHmac('sha256', deriveKey(key, purpose)).update(name).digest();
  const cipher = createCipheriv('aes-256-gcm', ownKey, nonce);
  cipher.setAAD(Buffer.concat([Buffer.of(1), Buffer.from(name)]));
  const text = Buffer.concat([cipher.update(plain), cipher.final()]);
  return Buffer.concat([Buffer.of(1), nonce, text, cipher.getAuthTag()]);
}
