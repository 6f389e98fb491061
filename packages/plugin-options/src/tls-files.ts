import { createSecureContext } from 'node:tls';
import type { PluginContext } from '@sallyport/authenticator';
import { parseCertificates, parsePrivateKey, tlsFileLimit } from './pem.ts';
import type { TlsOptions } from './tls.ts';

/** What a TLS handshake needs besides the server's name. All PEM. */
export interface TlsSettings {
  /** Left out: the authorities that Node brings. */
  readonly ca?: Buffer;
  readonly certificate?: Buffer;
  readonly key?: Buffer;
  /** Checked against the certificate, and sent as SNI, in place of the host. */
  readonly serverName?: string;
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3';
}

/**
 * Reads the TLS files of the options and keeps up with them. A file that can't be used is refused and what was in force
 * stays; a certificate and a key that do not fit together take effect only once they do, both at once.
 *
 * @param onChange called when something else holds for handshakes than before
 * @returns what holds for the next handshake
 * @throws Error naming the option, the file and the mend, never quoting the content
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
        throw new Error(`${option}: ${file} ${error instanceof Error ? error.message : 'can not be read'}`);
      }
      logger.info({ option, file }, 'TLS file loaded, for the connections that are made from now on');
      onChange();
    };
    await watchFile(file, load, { secret: option === 'keyFile', limit: tlsFileLimit });
  }

  /** Kept even when the other file does not fit yet: once it has changed too, both take effect. */
  function takePair(part: Partial<Pair>): void {
    const { certificate, key } = Object.assign(latest, part);
    if (certificate === undefined || key === undefined) return;
    requireFit(certificate, key);
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

function requireFit(cert: Buffer, key: Buffer): void {
  try {
    createSecureContext({ cert, key });
  } catch {
    throw new Error(
      'does not fit yet: certFile and keyFile are no pair. The certificate itself comes first in its file',
    );
  }
}
