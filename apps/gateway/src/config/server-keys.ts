import { value } from '@sallyport/plugin-kit';
import { z } from 'zod';
import { parseListen } from './listen.ts';

const text = z.string().min(1);

/** Makes the key `listen` of a server. */
export const listenKey = (description: string, port: number) =>
  value({ description, pattern: String.raw`:\d+$` }, parseListen).prefault(`127.0.0.1:${port}`);

/** Makes the keys of a server's own certificate. @param owner such as `The server's` */
export const tlsKeys = (owner: string) => ({
  certFile: text.describe(`${owner} certificate, then its chain (PEM).`),
  keyFile: text.describe('Private key of `certFile` (PEM), without a passphrase.'),
  minVersion: z
    .enum(['TLSv1.2', 'TLSv1.3'])
    .default('TLSv1.2')
    .describe('Oldest TLS version that is accepted.'),
});
