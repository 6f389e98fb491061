import { once } from 'node:events';
import { readdir, realpath, stat } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { collide } from '../../config/listen.ts';
import { describeError } from '../../config/problems.ts';
import type { GatewayConfig, ListenAddress } from '../../config/types.ts';
import { authority, listen } from '../../http/http-server.ts';
import { askIdentity, digestPath, type GatewayIdentity } from '../../observe/admin/identity.ts';
import { type Findings, warning } from '../finding.ts';
import type { TrustedFile } from '../permissions.ts';

interface RunningGateway extends GatewayIdentity {
  /** Its config, if that is the checked file or another one in its folder, which the checked file may be meant to replace. */
  readonly configFile?: string | undefined;
}

/** Asks the gateway at `admin.listen` of the config. */
export async function findGateway({
  admin,
  file,
}: Pick<GatewayConfig, 'admin' | 'file'>): Promise<RunningGateway | undefined> {
  const identity = await askIdentity(admin.listen);
  if (identity === undefined) return undefined;
  const folder = dirname(file);
  const names = await readdir(folder).catch(() => []);
  // The gateway may have been started with the path to which a symlink leads.
  const target = await realpath(file).catch(() => file);
  const files = [file, target, ...names.filter(isYaml).map((name) => join(folder, name))];
  return { ...identity, configFile: files.find((path) => digestPath(path) === identity.config) };
}

function isYaml(name: string): boolean {
  return /\.ya?ml$/.test(name);
}

interface AddressContext {
  /** The files of the config, whose owner shows whether this is the account of the gateway. */
  readonly files: readonly TrustedFile[];
  readonly gateway: Promise<RunningGateway | undefined>;
}

/** Checks whether the gateway could listen there, unless it does. */
export async function checkAddress(
  setting: string,
  address: ListenAddress,
  { files, gateway }: AddressContext,
): Promise<Findings> {
  const server = createServer();
  try {
    await listen(server, address, setting);
    return [];
  } catch (error) {
    const { code } = (error instanceof Error ? error.cause : undefined) as {
      readonly code?: unknown;
    };
    const running = await gateway;
    // A running gateway may have a capability that this process lacks.
    if (running?.configFile !== undefined && listensOn(address, running)) return [];
    if (code === 'EADDRINUSE') return describeUse(address, running);
    if (code !== 'EACCES' || (await isDeniedToGateway(address, files))) throw error;
    const problem = describeError(error);
    return warning('privileged-port', problem.message, problem.fix);
  } finally {
    server.close();
  }
}

function listensOn(address: ListenAddress, { addresses }: GatewayIdentity): boolean {
  return addresses.some((its) => collide(its, address));
}

/** Names the process that uses an address. */
function describeUse(address: ListenAddress, gateway: RunningGateway | undefined): Findings {
  const user =
    gateway !== undefined && listensOn(address, gateway)
      ? 'a gateway with another config file'
      : `another process${gateway === undefined ? ', or by this gateway if it runs with another admin.listen' : ''}`;
  const remark =
    gateway?.configFile !== undefined
      ? ': the gateway of this config runs, and does not listen there'
      : '';
  return warning(
    'in-use',
    `${authority(address.host, address.port)} is in use by ${user}${remark}`,
    gateway === undefined
      ? 'if it is another process, stop it, or choose another port'
      : 'stop it, or choose another port',
  );
}

/**
 * Whether the gateway is denied a port that this account is denied. That is so if root keeps files for the group of this account alone,
 * as systemd-tmpfiles and Kubernetes do, and nothing listens there.
 */
async function isDeniedToGateway(
  address: ListenAddress,
  files: readonly TrustedFile[],
): Promise<boolean> {
  const groups = [process.getgid?.(), ...(process.getgroups?.() ?? [])];
  const isForThis = async ({ file }: TrustedFile) => {
    const stats = await stat(file).catch(() => undefined);
    return (
      stats !== undefined &&
      stats.uid === 0 &&
      (stats.mode & 0o044) === 0o040 &&
      groups.includes(stats.gid)
    );
  };
  const answers = await Promise.all(files.map(isForThis));
  return process.getuid?.() !== 0 && answers.includes(true) && !(await isInUse(address));
}

async function isInUse(address: ListenAddress): Promise<boolean> {
  // A connection to 0.0.0.0 or :: reaches this machine.
  const socket = connect({ ...address, signal: AbortSignal.timeout(1_000) });
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
