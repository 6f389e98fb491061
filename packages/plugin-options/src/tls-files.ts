import { createSecureContext } from 'node:tls';
import type { PluginContext } from '@sallyport/authenticator';
import { parseCertificates, parsePrivateKey, tlsFileLimit } from './pem.ts';
import type { TlsOptions } from './tls.ts';

/** What a TLS handshake needs. Certificates and keys are PEM. */
export interface TlsSettings {
  /** Left out: the CAs of Node. */
  readonly ca?: Buffer;
  readonly certificate?: Buffer;
  readonly key?: Buffer;
  /** Checked against the certificate, and sent as SNI, in place of the host. */
  readonly serverName?: string;
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3';
}

/**
 * Reads the TLS files of the options and follows their changes. A file that can't be used is refused, and the one before it
 * stays in force. A new certificate and its key take effect together, once they match.
 *
 * @param onChange called when the settings for handshakes have changed
 * @returns a function that returns the settings for the next handshake
 * @throws Error naming the option, the file and how to fix it, never quoting the content
 */
export async function watchTlsFiles(
  { caFile, certFile, keyFile, serverName, minVersion }: TlsOptions,
  { watchFile, logger }: Pick<PluginContext, 'watchFile' | 'logger'>,
  onChange: () => void,
): Promise<() => TlsSettings> {
  let ca: Buffer | undefined;
  let pair: Pair | undefined;
  const latest: { certificate?: Buffer; key?: Buffer } = {};

  async function watch(option: string, file: string | undefined, take: (pem: Buffer) => void): Promise<void> {
    if (file === undefined) return;
    const load = (pem: Buffer) => {
      try {
        take(pem);
      } catch (error) {
        throw new Error(`${option}: ${file} ${error instanceof Error ? error.message : 'cannot be read'}`);
      }
      logger.info({ option, file }, 'TLS file loaded, for new connections');
      onChange();
    };
    await watchFile(file, load, { secret: option === 'keyFile', limit: tlsFileLimit });
  }

  /** Remembers a file also when the other one does not match yet: once that has changed too, both take effect. */
  function takePair(part: Partial<Pair>): void {
    const { certificate, key } = Object.assign(latest, part);
    if (certificate === undefined || key === undefined) return;
    requirePair(certificate, key);
    pair = { certificate, key };
  }

  await watch('caFile', caFile, (pem) => {
    parseCertificates(pem);
    ca = pem;
  });
  await watch('certFile', certFile, (pem) => {
    parseCertificates(pem);
    takePair({ certificate: pem });
  });
  await watch('keyFile', keyFile, (pem) => {
    parsePrivateKey(pem);
    takePair({ key: pem });
  });
  return () => ({ minVersion, ...(ca && { ca }), ...pair, ...(serverName !== undefined && { serverName }) });
}

interface Pair {
  readonly certificate: Buffer;
  readonly key: Buffer;
}

function requirePair(cert: Buffer, key: Buffer): void {
  try {
    createSecureContext({ cert, key });
  } catch {
    throw new Error(
      'does not match yet: certFile and keyFile are not a pair. The certificate itself must be the first in its file',
    );
  }
}
