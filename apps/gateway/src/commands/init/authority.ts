import { X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import { isIssuedBy, parseCertificates } from '@sallyport/plugin-kit';
import { FixableError } from '../../config/problems.ts';
import { mebibyte, readText, UnusableFileError } from '../../config/read-text.ts';
import type { CommandContext } from '../context.ts';
import { commandLine } from '../printed-commands.ts';
import { type Authority, readAuthority } from './certificates.ts';
import { names } from './layout.ts';

/**
 * Reads the CA that `init` made in a folder. While a CA is changed, its file has two: the one that `ca.key` belongs to issues.
 *
 * @param now milliseconds since 1970
 */
export async function openAuthority(
  context: CommandContext,
  folder: string,
  now: number,
): Promise<Authority> {
  const fix =
    `put ${names.authority} and ${names.authorityKey} of init there, or name their folder: ` +
    `${commandLine(context, ['init', '/etc/sallyport', '--renew'])}. If they are lost or have expired, make a new CA in another folder: ` +
    commandLine(context, ['init', 'NEW_FOLDER', '--host', 'HOST']);
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
