import { X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import { isIssuedBy, parseCertificates } from '@sallyport/plugin-kit';
import { FixableError } from '../../config/problems.ts';
import { mebibyte, readText, UnusableFileError } from '../../config/read-text.ts';
import { type Authority, readAuthority } from './certificates.ts';
import { names } from './layout.ts';

const fix =
  'put the file of the CA that init made back, or make a new CA in another folder: init DIR --host …';

/**
 * Reads the CA that `init` made in a folder. While a CA is changed, its file has two: the one that `ca.key` belongs to issues.
 *
 * @param now milliseconds since 1970
 */
export async function openAuthority(folder: string, now: number): Promise<Authority> {
  const [certificates = '', key = ''] = await Promise.all(
    [names.authority, names.authorityKey].map(async (name) => {
      try {
        return await readText(join(folder, name), mebibyte);
      } catch (error) {
        if (!(error instanceof UnusableFileError)) throw error;
        throw new FixableError(`nothing was renewed: ${error.message}`, fix, { cause: error });
      }
    }),
  );
  try {
    return await readAuthority(certificates, key, now);
  } catch (error) {
    const files = `${join(folder, names.authority)} with ${join(folder, names.authorityKey)}`;
    // Errors of OpenSSL quote nothing of a key, but say nothing to people either.
    const { code, message } = error as NodeJS.ErrnoException;
    const reason = code === undefined ? message : 'this is not a PEM certificate with its key';
    throw new FixableError(`nothing was renewed: ${files}: ${reason}`, fix, { cause: error });
  }
}

/** Whether one of several CAs has issued a certificate. Both are PEM; what is not a certificate was not issued. */
export function isIssuedByAny(authorities: string, certificate: string): boolean {
  try {
    const parsed = new X509Certificate(certificate);
    return parseCertificates(Buffer.from(authorities)).some((issuer) => isIssuedBy(parsed, issuer));
  } catch {
    return false;
  }
}
