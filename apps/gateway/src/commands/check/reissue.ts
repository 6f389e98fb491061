import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { parseCertificates, tlsFileLimit } from '@sallyport/plugin-kit';
import { shellQuoted } from '../../base/shell-quoted.ts';
import { readBytes } from '../../config/read-text.ts';
import { isTrustedChain } from '../../login/trusted-chain.ts';
import type { CommandContext } from '../context.ts';
import { names as files } from '../init/layout.ts';
import { commandLine } from '../printed-commands.ts';

interface Pair {
  readonly certFile: string;
  readonly keyFile: string;
}

/**
 * Returns how to get a certificate for these hosts, with a command: `init` issues it, where it has issued the one that is there. For
 * any other, its CA needs a request.
 *
 * @param folder the folder of gateway.yaml
 * @param certificate its name in a folder of `init`
 * @param option the option of `init` for the hosts
 */
export async function reissue(
  context: CommandContext,
  { certFile, keyFile }: Pair,
  hosts: readonly string[],
  {
    folder,
    certificate,
    option,
  }: { readonly folder: string; readonly certificate: string; readonly option: string },
): Promise<string> {
  if (certFile === join(folder, certificate) && (await isFromInit(folder, certFile))) {
    const words = ['init', folder, '--renew', ...hosts.flatMap((host) => [option, host])];
    return `for a new certificate, run: ${commandLine({ ...context, config: undefined }, words)}`;
  }
  const alternatives = hosts.map((host) => `${isIP(host) === 0 ? 'DNS' : 'IP'}:${host}`).join(',');
  const names = shellQuoted(`subjectAltName=${alternatives}`);
  const request = `openssl req -new -key ${shellQuoted(keyFile)} -subj / -addext ${names}`;
  return `for a new certificate, give its CA what this prints: ${request}`;
}

/** Whether `init` issued the certificate. The key of its CA may be offline: then `init` asks for it. */
async function isFromInit(folder: string, certFile: string): Promise<boolean> {
  const { authorityName } = await import('../init/certificates.ts');
  try {
    const authorities = parseCertificates(
      await readBytes(join(folder, files.authority), tlsFileLimit),
    );
    const ofInit = authorities.filter(({ subject }) => subject === `CN=${authorityName}`);
    return isTrustedChain([new X509Certificate(await readBytes(certFile, tlsFileLimit))], ofInit);
  } catch {
    // A certificate that can't be read is from another CA.
    return false;
  }
}
