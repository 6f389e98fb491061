import { execFile } from 'node:child_process';
import { hash, randomBytes, randomInt } from 'node:crypto';
import { cp, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Authority, type KeyPair, sharedAuthority } from './certificates.ts';
import type { Account, LdapServer } from './ldap-tools.ts';
import { addEntries, type LdapLogin, modifyEntries } from './ldap-tools.ts';
import type { LdifEntry } from './ldif.ts';
import { accepts } from './ports.ts';
import { createServerProcess, type ServerProcess, withControls } from './server-process.ts';
import { temporaryFolder } from './temporary-folder.ts';

/** An Active Directory domain, served by Samba. By default it accepts passwords at `url` only after StartTLS. */
export interface Samba extends LdapServer {
  /** The domain's DNS name: the part of a userPrincipalName after the @. */
  readonly realm: string;
  readonly administrator: Account;
  /** Lets no one read an attribute of an entry, not even the administrator. @param schemaId the schemaIDGUID of the attribute */
  hide(dn: string, schemaId: string): Promise<void>;
}

const realm = 'sallyport.test';
const suffix = 'DC=sallyport,DC=test';

/**
 * Starts Debian's samba-ad-dc with a new domain, in 2 s once one was provisioned. Its ports can't be configured, so it has a loopback
 * address of its own. Passwords need not be complex, and three wrong ones lock the account.
 *
 * @throws Error unless it runs as root: the files of a domain belong to root, and the port is 389
 */
export async function startSamba(): Promise<Samba> {
  if (process.getuid?.() !== 0) {
    throw new Error(
      'only root can provision a Samba domain: run these tests as root, for example in a container',
    );
  }
  await using resources = new AsyncDisposableStack();
  const folder = resources.use(await temporaryFolder('samba')).path;
  const authority = await sharedAuthority();
  const address = `127.${randomInt(1, 255)}.${randomInt(1, 255)}.${randomInt(1, 255)}`;
  const certificate = await authority.issueServer({ names: ['DNS:localhost', `IP:${address}`] });
  const password = await copyDomain(folder);
  const server = resources.use(sambaProcess(folder, address, certificate, authority));
  await server.start();
  const administrator = { dn: `CN=Administrator,CN=Users,${suffix}`, password };
  const login: LdapLogin = {
    url: `ldaps://${address}`,
    caFile: authority.certificateFile,
    ...administrator,
  };
  await modifyEntries(login, passwordSettings);
  const owned = resources.move();
  return withControls(server, owned, {
    url: `ldap://${address}:389`,
    ldapsUrl: `ldaps://${address}:636`,
    authority,
    caFile: authority.certificateFile,
    suffix,
    realm,
    administrator,
    add: (ldif: string) => addEntries(login, ldif),
    modify: (ldif: string) => modifyEntries(login, ldif),
    async hide(dn: string, schemaId: string) {
      const place = ['-H', join(folder, 'private/sam.ldb'), '-s', join(folder, 'etc/smb.conf')];
      const ace = `(OD;;RP;${schemaId};;WD)`;
      await promisify(execFile)('samba-tool', [
        'dsacl',
        'set',
        `--objectdn=${dn}`,
        `--sddl=${ace}`,
        ...place,
      ]);
    },
  });
}

/** A random password that the domain accepts, also before `passwordSettings` apply. */
export function newAdPassword(): string {
  return `${randomBytes(15).toString('base64url')}.Aa1`;
}

/** userAccountControl, MS-ADTS section 2.2.16. */
export const accountControl = {
  normal: 0x200,
  disabled: 0x202,
  /** A normal account whose password never expires. */
  lasting: 0x10200,
  /** An account like `lasting`, whose user must log in with a smart card. */
  smartCard: 0x50200,
} as const;

/** Passwords live for a microsecond: all have expired, except those of accounts whose password never expires. */
const passwordSettings = [
  `dn: CN=Administrator,CN=Users,${suffix}`,
  'changetype: modify',
  'replace: userAccountControl',
  `userAccountControl: ${accountControl.lasting}`,
  '',
  `dn: ${suffix}`,
  'changetype: modify',
  'replace: lockoutThreshold',
  'lockoutThreshold: 3',
  '-',
  'replace: pwdProperties',
  'pwdProperties: 0',
  '-',
  'replace: minPwdAge',
  'minPwdAge: 0',
  '-',
  'replace: maxPwdAge',
  'maxPwdAge: -10',
].join('\n');

/** Copies the domain that was provisioned. @returns the administrator's password */
async function copyDomain(folder: string): Promise<string> {
  const original = await provision();
  await cp(original, folder, { recursive: true });
  const configuration = join(folder, 'etc/smb.conf');
  const text = await readFile(configuration, 'utf8');
  await writeFile(configuration, text.replaceAll(newFolder(original), folder));
  return readFile(join(original, 'password'), 'utf8');
}

const newFolder = (folder: string): string => `${folder}.new`;

/** Run under a lock, since another process may do the same. The lock ends with the process that has it. */
const provisionOnce = `
  folder=$0 new=$1; shift
  test -d "$folder" && exit
  rm -rf "$new" && mkdir -m 700 "$new" && printf %s "$PASSWORD" >"$new/password" || exit
  samba-tool "$@" "--adminpass=$PASSWORD" &&
  samba-tool user setexpiry Administrator --noexpiry -H "$new/private/sam.ldb" -s "$new/etc/smb.conf" && mv "$new" "$folder"`;

/** Provisions a domain, which takes 5 s of CPU time, once for this checkout, this Samba and this code. @returns its folder */
async function provision(): Promise<string> {
  const what = [
    'domain',
    'provision',
    `--realm=${realm.toUpperCase()}`,
    '--domain=SALLYPORT',
    '--server-role=dc',
  ];
  // DNS is not needed. File attributes go into a database: in a container even root may not set them on files.
  const how = ['--host-name=dc1', '--host-ip=127.0.0.1', '--use-rfc2307', '--dns-backend=NONE'];
  const samba = await stat('/usr/sbin/samba', { bigint: true }).catch(() => undefined);
  const version = hash(
    'sha256',
    [provisionOnce, ...what, ...how, samba?.size, samba?.mtimeNs].join(' '),
  ).slice(0, 16);
  const cache = join(import.meta.dirname, '../node_modules/.cache');
  await mkdir(cache, { recursive: true });
  const folder = join(cache, `samba-${version}`);
  const created = newFolder(folder);
  const where = [`--targetdir=${created}`, `--option=posix:eadb=${join(created, 'eadb.tdb')}`];
  const script = ['/bin/sh', '-c', provisionOnce, folder, created, ...what, ...how, ...where];
  const environment = { ...process.env, PASSWORD: newAdPassword() };
  const run = promisify(execFile)('flock', [`${folder}.lock`, ...script], { env: environment });
  await run.catch((error: { readonly stderr: string }) => {
    // The error's own message contains the command line.
    throw new Error(`samba-tool could not provision a domain:\n${error.stderr}`);
  });
  return folder;
}

function sambaProcess(
  folder: string,
  address: string,
  certificate: KeyPair,
  authority: Authority,
): ServerProcess {
  const settings = {
    'server services': 'ldap',
    interfaces: `${address}/8`,
    'bind interfaces only': 'yes',
    'pid directory': folder,
    'ncalrpc dir': join(folder, 'ncalrpc'),
    'log file': join(folder, 'samba.log'),
    'tls certfile': certificate.certificateFile,
    'tls keyfile': certificate.keyFile,
    'tls cafile': authority.certificateFile,
  };
  const options = Object.entries(settings).map(([name, value]) => `--option=${name}=${value}`);
  const foreground = [
    '--interactive',
    '--no-process-group',
    '-M',
    'single',
    '-s',
    join(folder, 'etc/smb.conf'),
  ];
  return createServerProcess({
    name: 'Samba',
    command: 'samba',
    arguments: [...foreground, ...options],
    // The data need not survive a crash of the machine.
    environment: { TDB_NO_FSYNC: '1' },
    logFile: join(folder, 'log'),
    isReady: async () => (await accepts(389, address)) && (await accepts(636, address)),
  });
}

export interface AdUser {
  /** The RDN in the syntax of RFC 4514, such as `CN=R\+D`. */
  readonly rdn: string;
  readonly accountName: string;
  readonly password: string;
  /** Default: `accountControl.lasting`. */
  readonly control?: number;
  readonly more?: LdifEntry['attributes'];
}

/** A user below CN=Users, who can log in unless the attributes prevent it. */
export function adUser({
  rdn,
  accountName,
  password,
  control = accountControl.lasting,
  more = {},
}: AdUser): LdifEntry {
  return {
    dn: `${rdn},CN=Users,${suffix}`,
    attributes: {
      objectClass: 'user',
      sAMAccountName: accountName,
      userPrincipalName: `${accountName}@${realm}`,
      // The password is quoted and in UTF-16 (MS-ADTS section 3.1.1.3.1.5.1).
      unicodePwd: Buffer.from(`"${password}"`, 'utf16le'),
      userAccountControl: String(control),
      ...more,
    },
  };
}
