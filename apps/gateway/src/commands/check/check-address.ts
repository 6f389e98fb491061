import { once } from 'node:events';
import { stat } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { describeError } from '../../config/problems.ts';
import type { ListenAddress } from '../../config/types.ts';
import { authority, listen } from '../../http/http-server.ts';
import { type Findings, toFinding } from '../finding.ts';
import type { TrustedFile } from '../permissions.ts';

/**
 * Checks whether the gateway could listen there. An address in use is a warning: the gateway itself may be running there.
 *
 * @param files the files of the config, whose owner shows whether this is the account of the gateway
 */
export async function checkAddress(
  setting: string,
  address: ListenAddress,
  files: readonly TrustedFile[],
): Promise<Findings> {
  const server = createServer();
  try {
    await listen(server, address, setting);
    return [];
  } catch (error) {
    const { code } = (error instanceof Error ? error.cause : undefined) as {
      readonly code?: unknown;
    };
    const inUse = {
      message: `${authority(address.host, address.port)} is in use, perhaps by this gateway`,
      fix: 'if another process uses it, stop that process, or choose another port',
    };
    const mayWork =
      code === 'EADDRINUSE' || (code === 'EACCES' && !(await isDeniedToGateway(address, files)));
    return [
      toFinding(
        mayWork ? 'warning' : 'error',
        code === 'EADDRINUSE' ? inUse : describeError(error),
      ),
    ];
  } finally {
    server.close();
  }
}

/**
 * Whether the gateway is denied a port that this account is denied. That is so if root keeps files for the group of this account alone,
 * as systemd-tmpfiles and Kubernetes do, and nothing listens there: a running gateway may have a capability that this process lacks.
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
