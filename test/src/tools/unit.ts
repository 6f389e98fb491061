import { execFile } from 'node:child_process';
import { realpathSync, statSync } from 'node:fs';
import { chown, mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { readDocument } from '../testing/deployed.ts';
import { temporaryFolder } from '../testing/folder.ts';
import { rootFolder } from '../testing/pnpm.ts';

const run = promisify(execFile);

/** A machine with the files of deploy/systemd, in a folder that represents its root. */
export interface InstalledUnit {
  /** The folder of the config. */
  readonly folder: string;
  /** The folder of the audit trail. */
  readonly logs: string;
  readonly uid: number;
  readonly gid: number;
  /** The words before a command that make it run as the unit would run it, at /etc/sallyport. `root` is without its account. */
  through(account?: 'root'): readonly string[];
}

/** Makes a machine. @param files the files of /etc/sallyport, as root makes them: no one else may read them */
export async function installUnit(files: Readonly<Record<string, string>>): Promise<InstalledUnit> {
  const root = await temporaryFolder('unit');
  const folder = join(root, 'etc/sallyport');
  for (const name of ['etc/sallyport/tls', 'etc/sallyport/secrets', 'usr/lib']) {
    await mkdir(join(root, name), { recursive: true });
  }
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), content, { mode: 0o600 });
  }
  const apply = (command: string, name: string, ...how: string[]) =>
    run(command, [`--root=${root}`, ...how, join(rootFolder, 'deploy/systemd', name)]);
  await apply('systemd-sysusers', 'sallyport.sysusers.conf');
  await apply('systemd-tmpfiles', 'sallyport.tmpfiles.conf', '--create');
  const unit = await readDocument('deploy/systemd/sallyport.service');
  const setting = (name: string) => new RegExp(`^${name}=(.*)$`, 'm').exec(unit)?.[1] ?? '';
  const user = setting('User');
  const passwd = await readFile(join(root, 'etc/passwd'), 'utf8');
  const [, uid = '', gid = ''] = new RegExp(`^${user}:x:(\\d+):(\\d+):`, 'm').exec(passwd) ?? [];
  const logs = join(root, 'var/log', setting('LogsDirectory'));
  await mkdir(logs, { recursive: true, mode: Number.parseInt(setting('LogsDirectoryMode'), 8) });
  await chown(logs, Number(uid), Number(gid));
  return {
    folder,
    logs,
    uid: Number(uid),
    gid: Number(gid),
    through: (account) => [
      'unshare',
      '--mount',
      'sh',
      '-c',
      enter,
      'enter',
      root,
      logs,
      account ?? user,
      clone,
      findClosedFolder(clone),
    ],
  };
}

const clone = realpathSync(rootFolder);

/** Finds the outermost folder on the way to a path that the account could not enter. @returns '' if there is none */
function findClosedFolder(path: string): string {
  const parent = dirname(path);
  if (path === parent) return '';
  const isClosed = path === '/tmp' || (statSync(path).mode & 0o001) === 0;
  return findClosedFolder(parent) || (isClosed ? path : '');
}

/**
 * Replaces systemd, which does not run where these tests run. A mount namespace does what matters for files: the account and
 * its group, no rights of root, a /tmp of its own, and everything read-only but the folder of logs. The account reaches the clone
 * even if it is below /tmp, or in a folder that only root can enter.
 */
const enter = `set -e
root=$1 logs=$2 account=$3 clone=$4 closed=$5
shift 5
umask 022
mount --make-rprivate /
test -z "$closed" || mount --bind "$clone" /mnt
mount -t overlay overlay -o "lowerdir=$root/etc:/etc" /etc
mount -t tmpfs -o mode=755 none /var/log
mkdir "/var/log/\${logs##*/}"
mount --bind "$logs" "/var/log/\${logs##*/}"
mount -o remount,ro /var/log
mount -t tmpfs -o mode=1777 none /tmp
if test "$closed"; then
  test "$closed" = /tmp || mount -t tmpfs -o mode=755 none "$closed"
  mkdir -p "$clone"
  mount -t overlay overlay -o "lowerdir=$clone:/mnt" "$clone"
fi
mount -o remount,bind,ro /
cd /
umask 077
test "$account" != root || exec "$@"
as="setpriv --reuid=$account --regid=$account --clear-groups"
$as test -r "$clone/apps/gateway/package.json" || {
  echo "the account $account can't read the clone: run chmod -R go+rX $clone" >&2
  exit 1
}
exec $as --no-new-privs --bounding-set=-all --inh-caps=-all "$@"`;
