import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** A certificate and its key, as files and as bytes. */
export interface Pair {
  readonly certFile: string;
  readonly keyFile: string;
  readonly cert: Buffer;
  readonly key: Buffer;
}

interface Subject {
  readonly commonName: string;
  /** Lines of an OpenSSL config section, such as `DNS.1 = a`. */
  readonly alternativeNames?: readonly string[];
  /** The extended key usage. The certificate is for any use if it is left out. */
  readonly usage?: string;
  /** Whether it is an intermediate authority. */
  readonly isAuthority?: boolean;
  /** The size of an RSA key. Left out, it is an EC key. */
  readonly rsaBits?: number;
}

/** A certificate authority in a folder of its own, made by the `openssl` command for one test file. */
export interface TestAuthority extends Pair {
  readonly directory: string;
  /** @param by the intermediate authority that signs it, this one by default */
  issue(subject: Subject, by?: Pair): Promise<Pair>;
  /** Makes a self-signed certificate that is not an authority. */
  selfSigned(subject: Subject): Promise<Pair>;
  remove(): Promise<void>;
}

export async function createTestAuthority(commonName = 'test CA'): Promise<TestAuthority> {
  const directory = await mkdtemp(join(tmpdir(), 'sallyport-tls-'));
  const authority = await make(
    directory,
    { commonName },
    ['basicConstraints = critical, CA:true'],
    [],
  );
  const signedBy = ({ certFile, keyFile }: Pair) => ['-CA', certFile, '-CAkey', keyFile];
  return {
    ...authority,
    directory,
    issue: (subject, by = authority) =>
      make(
        directory,
        subject,
        [`basicConstraints = CA:${subject.isAuthority === true}`],
        signedBy(by),
      ),
    selfSigned: (subject) => make(directory, subject, ['basicConstraints = CA:false'], []),
    remove: () => rm(directory, { recursive: true }),
  };
}

async function make(
  directory: string,
  subject: Subject,
  extensions: string[],
  signed: string[],
): Promise<Pair> {
  const base = join(directory, randomUUID());
  const [certFile, keyFile, configFile] = [`${base}.crt`, `${base}.key`, `${base}.cnf`];
  const names = subject.alternativeNames ?? [];
  const config = [
    '[req]',
    'distinguished_name = dn',
    'prompt = no',
    'utf8 = yes',
    '[dn]',
    `CN = ${subject.commonName}`,
  ];
  const usage = subject.usage === undefined ? [] : [`extendedKeyUsage = ${subject.usage}`];
  config.push(
    '[ext]',
    ...extensions,
    ...usage,
    ...(names.length > 0 ? ['subjectAltName = @san', '[san]', ...names] : []),
  );
  await writeFile(configFile, `${config.join('\n')}\n`);
  const type =
    subject.rsaBits === undefined
      ? ['ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1']
      : [`rsa:${subject.rsaBits}`];
  const key = ['-newkey', ...type, '-nodes', '-keyout', keyFile];
  const request = [
    'req',
    '-x509',
    '-config',
    configFile,
    '-extensions',
    'ext',
    '-days',
    '30',
    '-out',
    certFile,
  ];
  await promisify(execFile)('openssl', [...request, ...key, ...signed]);
  return { certFile, keyFile, cert: await readFile(certFile), key: await readFile(keyFile) };
}
