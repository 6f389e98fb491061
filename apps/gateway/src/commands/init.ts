import { userPath } from './config-file.ts';
import { createFolder } from './init/create.ts';
import { parseHost } from './init/hosts.ts';
import { renewCertificates } from './init/renew.ts';
import { type ExitCode, exitCodes, UsageError } from './output.ts';

export interface InitOptions {
  /** Where the files go. */
  readonly dir: string;
  readonly host?: readonly string[];
  readonly renew?: boolean;
}

/** Makes a config, certificates and what kube-apiserver needs; or, with `--renew`, new certificates from the same CA. */
export async function init({ dir, host = [], renew = false }: InitOptions): Promise<ExitCode> {
  if (dir.trim() === '') throw new UsageError('the folder is empty: name one, such as /etc/sallyport');
  const folder = userPath(dir);
  const hosts = [...new Set(host.map(parseHost))];
  if (!renew && hosts.length === 0) {
    throw new UsageError(
      '--host is missing: give each name and IP address by which a kube-apiserver calls the gateway, the one for its kubeconfig first',
    );
  }
  const report = renew ? await renewCertificates(folder, hosts) : await createFolder(folder, hosts);
  process.stdout.write(report);
  return exitCodes.success;
}
