import { execFile } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Authority, KeyPair } from './certificates.ts';

const run = promisify(execFile);

/** Puts an authority and a server's certificate into a folder, as NSS wants them; the key is as secret as the folder. */
export async function createNssDatabase(folder: string, authority: Authority, pair: KeyPair): Promise<void> {
  const database = ['-d', `sql:${folder}`];
  const bundle = join(folder, 'server.p12');
  const inFiles = ['-in', pair.certificateFile, '-inkey', pair.keyFile];
  await run('certutil', [...database, '-N', '--empty-password']);
  await run('certutil', [...database, '-A', '-n', 'CA', '-t', 'CT,,', '-i', authority.certificateFile]);
  await run('openssl', ['pkcs12', '-export', ...inFiles, '-name', 'Server-Cert', '-passout', 'pass:', '-out', bundle]);
  await run('pk12util', [...database, '-i', bundle, '-W', '', '-K', '']);
  await rm(bundle);
}
