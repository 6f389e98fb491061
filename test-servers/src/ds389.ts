import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Authority, type KeyPair, sharedAuthority } from './certificates.ts';
import type { Account, LdapServer } from './ldap-tools.ts';
import { addEntries, type LdapLogin, modifyEntries } from './ldap-tools.ts';
import { toLdif } from './ldif.ts';
import { newPassword } from './passwords.ts';
import { accepts, freePort } from './ports.ts';
import { createServerProcess, type ServerProcess, withControls } from './server-process.ts';
import { temporaryFolder } from './temporary-folder.ts';

/** A 389 Directory Server on free ports of 127.0.0.1. */
export interface Ds389 extends LdapServer {
  /** It reads everything but passwords. */
  readonly service: Account;
}

const suffix = 'dc=example,dc=com';
const managerDn = 'cn=Directory Manager';
const serviceDn = `uid=gateway,ou=services,${suffix}`;

/**
 * Starts Debian's 389-ds-base with TLS and memberOf, and with ou=people, ou=groups and the service account in it. Three
 * wrong passwords lock an account. Debian's own dscreate is not used: it installs as root, all over the system.
 */
export async function startDs389(): Promise<Ds389> {
  await using resources = new AsyncDisposableStack();
  const folder = resources.use(await temporaryFolder('ds389')).path;
  const authority = await sharedAuthority();
  const [port, ldapsPort] = [await freePort(), await freePort()];
  const manager: LdapLogin = {
    url: `ldap://127.0.0.1:${port}`,
    dn: managerDn,
    password: newPassword(),
  };
  await writeInstance(folder, { port, ldapsPort, managerPassword: manager.password });
  await createNssDatabase(join(folder, 'certificates'), authority, await authority.sharedServer());
  const server = resources.use(ds389Process(folder, port, ldapsPort));
  await server.start();
  const service = { dn: serviceDn, password: newPassword() };
  await addEntries(manager, firstEntries(service.password));
  const owned = resources.move();
  return withControls(server, owned, {
    url: manager.url,
    ldapsUrl: `ldaps://127.0.0.1:${ldapsPort}`,
    authority,
    caFile: authority.certificateFile,
    suffix,
    service,
    add: (ldif: string) => addEntries(manager, ldif),
    modify: (ldif: string) => modifyEntries(manager, ldif),
  });
}

function ds389Process(folder: string, port: number, ldapsPort: number): ServerProcess {
  const pidFile = join(folder, 'run', 'pid');
  return createServerProcess({
    name: '389-DS',
    command: 'ns-slapd',
    arguments: ['-D', folder, '-i', pidFile, '-d', '0'],
    // It writes to its own log, and nothing to stdout.
    logFile: join(folder, 'log', 'errors'),
    prepare: () => rm(pidFile, { force: true }),
    isReady: async () => existsSync(pidFile) && (await accepts(port)) && (await accepts(ldapsPort)),
  });
}

interface InstanceSettings {
  readonly port: number;
  readonly ldapsPort: number;
  readonly managerPassword: string;
}

const template = '/usr/share/dirsrv/data/template-dse.ldif';

/** Creates an instance as dscreate does, but in one folder. */
async function writeInstance(folder: string, settings: InstanceSettings): Promise<void> {
  const folders = ['certificates', 'database', 'lock', 'log', 'run', 'schema'];
  await Promise.all(folders.map((name) => mkdir(join(folder, name))));
  const values: Readonly<Record<string, string>> = {
    schema_dir: join(folder, 'schema'),
    cert_dir: join(folder, 'certificates'),
    db_dir: join(folder, 'database'),
    db_home_dir: join(folder, 'database'),
    lock_dir: join(folder, 'lock'),
    log_dir: join(folder, 'log'),
    run_dir: join(folder, 'run'),
    config_dir: folder,
    db_lib: 'mdb',
    ds_port: String(settings.port),
    ds_user: userInfo().username,
    ds_suffix: suffix,
    ds_passwd: salted(settings.managerPassword),
    rootdn: managerDn,
    fqdn: 'localhost',
    ldapi: join(folder, 'run', 'ldapi'),
    ldapi_enabled: 'off',
    ldapi_autobind: 'off',
  };
  // All other variables are folders, and any folder will do.
  const filled = (await readFile(template, 'utf8')).replace(
    /%(\w+)%/g,
    (_, name: string) => values[name] ?? folder,
  );
  const first = /^nsslapd-port: .*$/m;
  const memberOf = /(dn: cn=MemberOf Plugin,[\s\S]*?nsslapd-pluginenabled: )off/;
  const dse = filled
    .replace(first, (line) => [line, ...configuration(settings)].join('\n'))
    .replace(memberOf, '$1on');
  await writeFile(join(folder, 'dse.ldif'), dse, { mode: 0o600 });
  await writeFile(join(folder, 'slapd-collations.conf'), '');
  // Without a file of this name, it writes to the last of the system's schema files.
  await writeFile(
    join(folder, 'schema', '99user.ldif'),
    'dn: cn=schema\nobjectClass: top\nobjectClass: subschema\n',
  );
}

/** The lines of cn=config. */
function configuration({ ldapsPort }: InstanceSettings): string[] {
  return [
    'nsslapd-listenhost: 127.0.0.1',
    'nsslapd-securelistenhost: 127.0.0.1',
    `nsslapd-secureport: ${ldapsPort}`,
    'nsslapd-security: on',
    'passwordLockout: on',
    'passwordMaxFailure: 3',
    'passwordUnlock: off',
    'passwordExp: on',
    // The default hash is slow, as it should be for real passwords.
    'passwordStorageScheme: SSHA512',
  ];
}

function firstEntries(servicePassword: string): string {
  const reads = `allow (read, search, compare) userdn="ldap:///${serviceDn}";`;
  const unit = (name: string) => ({
    dn: `ou=${name},${suffix}`,
    attributes: { objectClass: 'organizationalUnit' },
  });
  return toLdif([
    {
      dn: 'cn=userRoot,cn=ldbm database,cn=plugins,cn=config',
      attributes: {
        objectClass: ['extensibleObject', 'nsBackendInstance'],
        'nsslapd-suffix': suffix,
      },
    },
    {
      dn: `cn="${suffix}",cn=mapping tree,cn=config`,
      attributes: {
        objectClass: ['extensibleObject', 'nsMappingTree'],
        'nsslapd-state': 'backend',
        'nsslapd-backend': 'userRoot',
      },
    },
    {
      dn: suffix,
      attributes: {
        objectClass: 'domain',
        aci: `(targetattr!="userPassword")(version 3.0; acl "the service account reads"; ${reads})`,
      },
    },
    ...['people', 'groups', 'services'].map(unit),
    {
      dn: serviceDn,
      attributes: {
        objectClass: ['account', 'simpleSecurityObject'],
        userPassword: servicePassword,
      },
    },
  ]);
}

/** The manager's password must be hashed in the file. */
function salted(password: string): string {
  const salt = randomBytes(8);
  const digest = createHash('sha512').update(password).update(salt).digest();
  return `{SSHA512}${Buffer.concat([digest, salt]).toString('base64')}`;
}

const run = promisify(execFile);

/** Puts an authority and a server's certificate into an NSS database. The key is as secret as the folder. */
async function createNssDatabase(
  folder: string,
  authority: Authority,
  pair: KeyPair,
): Promise<void> {
  const database = ['-d', `sql:${folder}`];
  const bundle = join(folder, 'server.p12');
  const inFiles = ['-in', pair.certificateFile, '-inkey', pair.keyFile];
  await run('certutil', [...database, '-N', '--empty-password']);
  await run('certutil', [
    ...database,
    '-A',
    '-n',
    'CA',
    '-t',
    'CT,,',
    '-i',
    authority.certificateFile,
  ]);
  await run('openssl', [
    'pkcs12',
    '-export',
    ...inFiles,
    '-name',
    'Server-Cert',
    '-passout',
    'pass:',
    '-out',
    bundle,
  ]);
  await run('pk12util', [...database, '-i', bundle, '-W', '', '-K', '']);
  await rm(bundle);
}
