import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Authority } from './certificates.ts';
import type { ServerProcess } from './server-process.ts';
import { temporaryFolder } from './temporary-folder.ts';

/** A real directory server. Each test has its own, on loopback, which is deleted when it is disposed. */
export interface LdapServer extends ServerProcess {
  /** `ldap://ADDRESS:PORT`, with StartTLS. */
  readonly url: string;
  readonly ldapsUrl: string;
  readonly authority: Authority;
  readonly caFile: string;
  /** The DN of the directory's root. */
  readonly suffix: string;
  /** Adds LDIF content records. @throws Error with the message of ldapadd */
  add(ldif: string): Promise<void>;
  /** Applies LDIF change records. @throws Error with the message of ldapmodify */
  modify(ldif: string): Promise<void>;
}

/** An account with its password. */
export interface Account {
  readonly dn: string;
  readonly password: string;
}

/** How OpenLDAP's own client logs in. Tests use it where they must not depend on our code. */
export interface LdapLogin {
  readonly url: string;
  /** Required for `ldaps:` and StartTLS. */
  readonly caFile?: string;
  readonly dn: string;
  readonly password: string;
}

export interface ToolResult {
  /** The LDAP result code of the server. 254 and 255 mean that the server was not reached. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs ldapadd, ldapmodify, ldapsearch or ldapwhoami (Debian's ldap-utils) with the password in a file. */
export async function runLdapTool(
  tool: string,
  login: LdapLogin,
  toolArguments: readonly string[],
  input = '',
): Promise<ToolResult> {
  await using folder = await temporaryFolder('ldap-tool');
  const passwordFile = join(folder.path, 'password');
  await writeFile(passwordFile, login.password, { mode: 0o600 });
  const bind = ['-x', '-H', login.url, '-D', login.dn, '-y', passwordFile];
  const child = spawn(tool, [...bind, ...toolArguments], {
    // LDAPNOINIT would also disable the CA. A home without .ldaprc has the same effect otherwise.
    env: { PATH: process.env.PATH ?? '', HOME: folder.path, LDAPTLS_CACERT: login.caFile ?? '' },
  });
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output.stderr += text));
  child.stdin.on('error', () => {}).end(input);
  const [code] = (await once(child, 'close')) as [number | null];
  return { code: code ?? 255, ...output };
}

/** Binds as the user with the password policy control, and asks who that is. `text` is the server's answer. */
export async function tryBind(
  login: LdapLogin,
): Promise<{ readonly code: number; readonly text: string }> {
  const { code, stdout, stderr } = await runLdapTool('ldapwhoami', login, ['-e', 'ppolicy']);
  return { code, text: `${stdout}${stderr}`.trim() };
}

/** Adds the entries of LDIF content records. @throws Error with the client's own message */
export function addEntries(login: LdapLogin, ldif: string): Promise<void> {
  return change('ldapadd', login, ldif);
}

/** Applies LDIF change records. @throws Error with the client's own message */
export function modifyEntries(login: LdapLogin, ldif: string): Promise<void> {
  return change('ldapmodify', login, ldif);
}

async function change(tool: string, login: LdapLogin, ldif: string): Promise<void> {
  // ManageDsaIT changes a referral's entry instead of following it. Relax allows to set the times of password policies.
  // Neither is critical, since other servers know only the first.
  const { code, stdout, stderr } = await runLdapTool(tool, login, ['-M', '-e', 'relax'], ldif);
  if (code !== 0) {
    const entry = stdout.trim().split('\n').at(-1);
    throw new Error(`${tool} failed with ${code} while ${entry}: ${stderr.trim()}`);
  }
}
