import { value } from '@sallyport/plugin-kit';
import { z } from 'zod';
import { parseListen } from './listen.ts';

/** The schema of a text that is not empty. */
export const filledText = z.string().min(1);

/** Makes a key with a text that is not empty. */
export const textKey = (description: string) => filledText.describe(description);

/** Makes a key with a list of texts that are not empty. */
export const textListKey = (description: string) => z.array(filledText).describe(description);

/** Makes a key with `true` or `false`. */
export const booleanKey = (description: string) => z.boolean().describe(description);

/** Makes a key with a whole number from 1 on. */
export const positiveKey = (description: string) => z.int().min(1).describe(description);

/** Makes a key with one of a few words. */
export const choiceKey = <const Words extends readonly string[]>(
  description: string,
  words: Words,
) => z.enum(words).describe(description);

/** Makes the key `listen` of a server. */
export const listenKey = (description: string, port: number) =>
  value({ description, pattern: String.raw`:\d+$` }, parseListen).prefault(`127.0.0.1:${port}`);

/** Makes the keys of a server's own certificate. @param owner such as `The server's` */
export const tlsKeys = (owner: string) => ({
  certFile: textKey(`${owner} certificate, then its chain (PEM).`),
  keyFile: textKey('Private key of `certFile` (PEM), without a passphrase.'),
  minVersion: choiceKey('Oldest TLS version that is accepted.', ['TLSv1.2', 'TLSv1.3']).default(
    'TLSv1.2',
  ),
});
