import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { temporaryFolder } from './temporary-folder.ts';

/** Where and as whom OpenLDAP's own client works: what it sees is not seen through our code. */
export interface Login {
  readonly url: string;
  /** Needed for `ldaps:` and StartTLS. */
  readonly caFile?: string;
  readonly dn: string;
  readonly password: string;
}

export interface ToolResult {
  /** LDAP's result code where the server gave one. 254 and 255: the server was not reached. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs ldapadd, ldapmodify, ldapsearch or ldapwhoami (Debian's ldap-utils); the password is in a file of its own. */
export async function runLdapTool(
  tool: string,
  login: Login,
  toolArguments: readonly string[],
  input = '',
): Promise<ToolResult> {
  await using folder = await temporaryFolder('ldap-tool');
  const passwordFile = join(folder.path, 'password');
  await writeFile(passwordFile, login.password, { mode: 0o600 });
  const bind = ['-x', '-H', login.url, '-D', login.dn, '-y', passwordFile];
  const child = spawn(tool, [...bind, ...toolArguments], {
    // LDAPNOINIT would forbid the CA too; a home without .ldaprc does what it is for.
    env: { PATH: process.env.PATH ?? '', HOME: folder.path, LDAPTLS_CACERT: login.caFile ?? '' },
  });
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output.stderr += text));
  child.stdin.on('error', () => {}).end(input);
  const [code] = (await once(child, 'close')) as [number | null];
  return { code: code ?? 255, ...output };
}

/** Binds as the user with the password policy control, and asks who that is. `text` is what the server said of it. */
export async function tryBind(login: Login): Promise<{ readonly code: number; readonly text: string }> {
  const { code, stdout, stderr } = await runLdapTool('ldapwhoami', login, ['-e', 'ppolicy']);
  return { code, text: `${stdout}${stderr}`.trim() };
}

/** Adds the entries of LDIF content records. @throws Error with the client's own words */
export function addEntries(login: Login, ldif: string): Promise<void> {
  return change('ldapadd', login, ldif);
}

/** Applies LDIF change records. @throws Error with the client's own words */
export function modifyEntries(login: Login, ldif: string): Promise<void> {
  return change('ldapmodify', login, ldif);
}

async function change(tool: string, login: Login, ldif: string): Promise<void> {
  // ManageDsaIT: a referral's entry is changed, not followed. Relax: times of password policies can be set. Neither is
  // critical, as other servers know only the first.
  const { code, stdout, stderr } = await runLdapTool(tool, login, ['-M', '-e', 'relax'], ldif);
  if (code !== 0) {
    const entry = stdout.trim().split('\n').at(-1);
    throw new Error(`${tool} failed with ${code} while ${entry}: ${stderr.trim()}`);
  }
}
