import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { temporaryFolder } from './temporary-folder.ts';

const run = promisify(execFile);

/** A certificate with its key: PEM texts, and the files with them. */
export interface KeyPair {
  readonly certificate: string;
  readonly key: string;
  readonly certificateFile: string;
  readonly keyFile: string;
}

interface ServerCertificateOptions {
  readonly commonName?: string;
  /** The names in the syntax of openssl: `IP:127.0.0.1`, `DNS:localhost`. Default: all of loopback. */
  readonly names?: readonly string[];
  /** Whether it expired years ago. This needs OpenSSL 3.4. */
  readonly expired?: boolean;
  /** How many days it is valid. Default 1. */
  readonly days?: number;
  /** Whether the key is an RSA key. Default: an elliptic one. */
  readonly rsa?: boolean;
}

/** A certificate authority. Disposing it deletes its folder. */
export interface Authority extends AsyncDisposable {
  /** The certificate in PEM. */
  readonly certificate: string;
  readonly certificateFile: string;
  issueServer(options?: ServerCertificateOptions): Promise<KeyPair>;
  /** Returns the same certificate each time, for servers that need none of their own. */
  sharedServer(): Promise<KeyPair>;
  /**
   * @param names as in a server's certificate. Default: none
   * @param expired whether it expired years ago. Default false
   */
  issueClient(commonName: string, names?: readonly string[], expired?: boolean): Promise<KeyPair>;
}

const localhostNames: readonly string[] = ['DNS:localhost', 'IP:127.0.0.1', 'IP:::1'];

/** An elliptic key takes a millisecond to make, an RSA key a hundred. */
const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

const newRsaKey = ['-newkey', 'rsa:2048', '-nodes'];

const oneDay = ['-days', '1'];

const longAgo = ['-not_before', '20200101000000Z', '-not_after', '20200102000000Z'];

let shared: Promise<Authority> | undefined;

/** The authority of this process, for servers that are given none: openssl runs once for all. It lasts as long as the process. */
export function sharedAuthority(): Promise<Authority> {
  shared ??= createAuthority();
  return shared;
}

/** Creates an authority with openssl. Two with the same name do not trust each other: their keys differ. */
export async function createAuthority(commonName = 'Sallyport test authority'): Promise<Authority> {
  const folder = await temporaryFolder('authority');
  const certificateFile = join(folder.path, 'ca.crt');
  const authorityKey = join(folder.path, 'ca.key');
  const constraints = [
    '-addext',
    'basicConstraints=critical,CA:TRUE',
    '-addext',
    'keyUsage=critical,keyCertSign',
  ];
  const root = ['req', '-x509', ...newKey, ...oneDay, '-subj', `/CN=${commonName}`, ...constraints];
  await run('openssl', [...root, '-keyout', authorityKey, '-out', certificateFile]);
  let serial = 0;

  async function issue(
    name: string,
    validity: readonly string[],
    extensions: readonly string[],
    keyOptions = newKey,
  ): Promise<KeyPair> {
    serial += 1;
    const certificate = join(folder.path, `${serial}.crt`);
    const keyFile = join(folder.path, `${serial}.key`);
    const leaf = [
      'req',
      '-x509',
      ...keyOptions,
      ...validity,
      '-CA',
      certificateFile,
      '-CAkey',
      authorityKey,
    ];
    const added = ['basicConstraints=CA:FALSE', ...extensions].flatMap((extension) => [
      '-addext',
      extension,
    ]);
    await run('openssl', [
      ...leaf,
      '-subj',
      `/CN=${name}`,
      ...added,
      '-keyout',
      keyFile,
      '-out',
      certificate,
    ]);
    const [text, key] = await Promise.all([
      readFile(certificate, 'utf8'),
      readFile(keyFile, 'utf8'),
    ]);
    return { certificate: text, key, certificateFile: certificate, keyFile };
  }

  const issueServer: Authority['issueServer'] = ({
    commonName: name = 'test server',
    names = localhostNames,
    expired = false,
    days = 1,
    rsa = false,
  } = {}) => {
    const extensions = ['extendedKeyUsage=serverAuth', ...alternativeNames(names)];
    const validity = expired ? longAgo : ['-days', `${days}`];
    return issue(name, validity, extensions, rsa ? newRsaKey : newKey);
  };

  let server: Promise<KeyPair> | undefined;
  return {
    certificate: await readFile(certificateFile, 'utf8'),
    certificateFile,
    issueServer,
    sharedServer() {
      server ??= issueServer();
      return server;
    },
    issueClient(name, names = [], expired = false) {
      const extensions = ['extendedKeyUsage=clientAuth', ...alternativeNames(names)];
      return issue(name, expired ? longAgo : oneDay, extensions);
    },
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

function alternativeNames(names: readonly string[]): string[] {
  return names.length === 0 ? [] : [`subjectAltName=${names.join(',')}`];
}
