import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Authority, type KeyPair, sharedAuthority } from './certificates.ts';
import type { Account, LdapServer } from './ldap-tools.ts';
import { addEntries, type LdapLogin, modifyEntries } from './ldap-tools.ts';
import { createOperationCounter, type Operations } from './operations.ts';
import { newPassword } from './passwords.ts';
import { freePort, hasIPv6, reaches } from './ports.ts';
import { createServerProcess, type ServerProcess, withControls } from './server-process.ts';
import {
  firstEntries,
  managerDn,
  serviceDn,
  slapdConfiguration,
  suffix,
} from './slapd-configuration.ts';
import { temporaryFolder } from './temporary-folder.ts';

export interface SlapdOptions {
  /** The authority that issues its certificate. Default: that of this process. */
  readonly authority?: Authority;
  /** Default: one of the authority for localhost, 127.0.0.1 and ::1. */
  readonly certificate?: KeyPair;
  /** The maximum number of entries of a search, which then ends with code 4. Default 500, as in Debian. */
  readonly sizeLimit?: number;
  /** Default false: only the service account reads. */
  readonly anonymousRead?: boolean;
  /** Whether clients must present a certificate of the authority. Default false. */
  readonly requiresClientCertificate?: boolean;
  /** Whether the code of an authenticator app is needed at the end of a user's password, by the overlay otp. See `codes`. Default false. */
  readonly wantsCodes?: boolean;
  /** Whether operations are counted. Without the log it is faster, and `operations` throws. Default true. */
  readonly countsOperations?: boolean;
}

/** An OpenLDAP server on free ports of 127.0.0.1, which also answer on `localhost`, and on [::1] where IPv6 exists. */
export interface Slapd extends LdapServer {
  readonly port: number;
  readonly ldapsPort: number;
  /** It reads everything but passwords. */
  readonly service: Account;
  /** All operations that began before the call, also before a `stop`. */
  operations(): Promise<Operations>;
}

/**
 * Starts Debian's slapd with TLS, memberOf and password policies (see `policies`), and with ou=people, ou=groups and
 * the service account in it. An empty password is accepted for every DN, as in Active Directory.
 */
export async function startSlapd(options: SlapdOptions = {}): Promise<Slapd> {
  await using resources = new AsyncDisposableStack();
  const folder = resources.use(await temporaryFolder('slapd')).path;
  const authority = options.authority ?? (await sharedAuthority());
  const [port, ldapsPort] = [await freePort(), await freePort()];
  const files: Files = { folder, socket: join(folder, 'ldapi'), logFile: join(folder, 'log') };
  const manager: LdapLogin = {
    url: `ldapi://${encodeURIComponent(files.socket)}`,
    dn: managerDn,
    password: newPassword(),
  };
  await writeConfiguration(folder, authority, manager.password, options);
  const urls = [...listeners('ldap', port), ...listeners('ldaps', ldapsPort)];
  const server = resources.use(slapdProcess(files, [...urls, manager.url], options));
  // Nothing reads its data any more, and a stop waits for the hash of a password.
  resources.defer(() => server.kill());
  await server.start();
  const service = { dn: serviceDn, password: newPassword() };
  await addEntries(manager, firstEntries(service.password, options.wantsCodes ?? false));
  const count = createOperationCounter(files.logFile, { own: managerDn, service: serviceDn });
  const owned = resources.move();
  return withControls(server, owned, {
    port,
    ldapsPort,
    url: `ldap://127.0.0.1:${port}`,
    ldapsUrl: `ldaps://127.0.0.1:${ldapsPort}`,
    authority,
    caFile: authority.certificateFile,
    suffix,
    service,
    add: (ldif: string) => addEntries(manager, ldif),
    modify: (ldif: string) => modifyEntries(manager, ldif),
    operations() {
      if (options.countsOperations === false) {
        throw new Error('this slapd was started with countsOperations: false');
      }
      return count();
    },
  });
}

interface Files {
  readonly folder: string;
  readonly socket: string;
  readonly logFile: string;
}

async function writeConfiguration(
  folder: string,
  authority: Authority,
  managerPassword: string,
  options: SlapdOptions,
): Promise<void> {
  const text = slapdConfiguration({
    folder,
    certificate: options.certificate ?? (await authority.sharedServer()),
    authorityFile: authority.certificateFile,
    managerPassword,
    sizeLimit: options.sizeLimit ?? 500,
    anonymousRead: options.anonymousRead ?? false,
    clientCertificates: options.requiresClientCertificate ? 'demand' : 'never',
    wantsCodes: options.wantsCodes ?? false,
  });
  await mkdir(join(folder, 'data'));
  await writeFile(join(folder, 'slapd.conf'), text, { mode: 0o600 });
}

/** @param urls end with that of the socket */
function slapdProcess(
  { folder, socket, logFile }: Files,
  urls: readonly string[],
  options: SlapdOptions,
): ServerProcess {
  const level = options.countsOperations === false ? '0' : 'stats';
  return createServerProcess({
    name: 'slapd',
    command: 'slapd',
    arguments: ['-d', level, '-f', join(folder, 'slapd.conf'), '-h', urls.join(' ')],
    logFile,
    // slapd takes all its ports, then listens on one after the other in this order. On the socket, no other server accepts.
    isReady: () => reaches({ path: socket }),
  });
}

function listeners(scheme: string, port: number): string[] {
  return ['127.0.0.1', ...(hasIPv6 ? ['[::1]'] : [])].map((host) => `${scheme}://${host}:${port}`);
}
