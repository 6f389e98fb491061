import { access, constants, readFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { dirname } from 'node:path';
import { shellQuoted } from '../base/shell-quoted.ts';

/*
 * This file makes commands that root can paste. They give the account of this process access to a file that it is denied: they give the
 * file to the group of the account, and leave its owner as it is, since the gateway must not be able to change its own config.
 */

export async function howToRead(file: string): Promise<string> {
  return (await commandsFor(file, 'g+r')) ?? 'let that user read it, and enter its folder';
}

/** Says how this account gets the right to write a file. @param file may be missing, in a folder in which this account can't create it */
export async function howToWrite(file: string): Promise<string> {
  const exists = await isAllowed(file, constants.F_OK);
  if (exists) return (await commandsFor(file, 'g+rw')) ?? 'let that user read and write it';
  // The folder may be that of the config, so no command gives it to the account.
  const elsewhere = 'name a file in a folder that this user can write to';
  const owner = await runningAccount();
  if (owner === undefined) return elsewhere;
  const { user, group } = owner;
  return `${elsewhere}. To make one, run as root: install -d -o ${user} -g ${group} -m 750 /var/log/sallyport`;
}

/** Makes the commands for root. @returns undefined if there are none: for root, since something else denies it, and on Windows */
async function commandsFor(file: string, permission: string): Promise<string | undefined> {
  const owner = await runningAccount();
  if (owner === undefined) return undefined;
  const closed = await closedFolder(file);
  const path = shellQuoted(closed ?? file);
  return `run, as root: chgrp ${owner.group} ${path} && chmod ${closed === undefined ? permission : 'g+x'} ${path}`;
}

async function runningAccount(): Promise<{ user: string; group: string } | undefined> {
  const [uid, gid] = [process.getuid?.(), process.getgid?.()];
  if (uid === undefined || gid === undefined || uid === 0) return undefined;
  return { user: userName() ?? String(uid), group: (await nameOfGroup(gid)) ?? String(gid) };
}

/** Returns the name of this account; undefined: it has no entry, as in a container. */
function userName(): string | undefined {
  try {
    return userInfo().username;
  } catch {
    return undefined;
  }
}

/** Finds the first folder on the way to a file that this account may not enter. */
async function closedFolder(file: string): Promise<string | undefined> {
  const folders = [dirname(file)];
  while (folders[0] !== undefined && dirname(folders[0]) !== folders[0])
    folders.unshift(dirname(folders[0]));
  for (const folder of folders) if (!(await isAllowed(folder, constants.X_OK))) return folder;
  return undefined;
}

function isAllowed(path: string, mode: number): Promise<boolean> {
  return access(path, mode).then(
    () => true,
    () => false,
  );
}

/** Returns the name of a group; undefined: it is in no file of this machine, but a directory may have it. */
export async function nameOfGroup(gid: number): Promise<string | undefined> {
  const [group] = await findEntries('/etc/group', ([, , id]) => id === String(gid));
  return group?.[0];
}

/** Returns the accounts whose primary group this is, as far as they are in the files of this machine. */
export async function accountsOfGroup(gid: number): Promise<readonly string[]> {
  const accounts = await findEntries('/etc/passwd', ([, , , group]) => group === String(gid));
  return accounts.flatMap(([name]) => name ?? []);
}

export async function nameOfAccount(uid: number): Promise<string | undefined> {
  const [account] = await findEntries('/etc/passwd', ([, , id]) => id === String(uid));
  return account?.[0];
}

async function findEntries(
  file: string,
  matches: (fields: readonly string[]) => boolean,
): Promise<string[][]> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return text
    .split('\n')
    .map((line) => line.split(':'))
    .filter(matches);
}
