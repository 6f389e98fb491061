import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { accepts, freePort } from './ports.ts';
import { createServerProcess, type ServerProcess, withControls } from './server-process.ts';
import { temporaryFolder } from './temporary-folder.ts';

/** The records of the DNS server. */
export interface DnsRecords {
  /** SRV records (RFC 2782). */
  readonly services: readonly {
    readonly name: string;
    readonly target: string;
    readonly port: number;
    readonly priority?: number;
    readonly weight?: number;
  }[];
}

/** A DNS server on a free port of 127.0.0.1, over UDP and TCP. */
export interface Dnsmasq extends ServerProcess {
  /** `127.0.0.1:PORT` */
  readonly nameServer: string;
}

/** Starts dnsmasq, which is in Debian's dnsmasq-base. */
export async function startDnsmasq(records: DnsRecords): Promise<Dnsmasq> {
  await using resources = new AsyncDisposableStack();
  const folder = resources.use(await temporaryFolder('dnsmasq')).path;
  const configuration = join(folder, 'dnsmasq.conf');
  const port = await freePort();
  const server = resources.use(
    createServerProcess({
      name: 'dnsmasq',
      command: 'dnsmasq',
      arguments: ['--keep-in-foreground', `--conf-file=${configuration}`],
      logFile: join(folder, 'log'),
      isReady: () => accepts(port),
    }),
  );
  await writeFile(configuration, configurationOf(port, folder, records));
  await server.start();
  const owned = resources.move();
  return withControls(server, owned, { nameServer: `127.0.0.1:${port}` });
}

function configurationOf(port: number, folder: string, { services }: DnsRecords): string {
  return [
    `port=${port}`,
    'listen-address=127.0.0.1',
    'bind-interfaces',
    'no-resolv',
    'no-hosts',
    // It asks no other server: names below test exist only here, and all other names are refused.
    'local=/test/',
    `pid-file=${join(folder, 'pid')}`,
    // It must not change its user: a container may forbid that.
    `user=${process.getuid?.() === 0 ? 'root' : ''}`,
    'log-facility=-',
    ...services.map(({ name, target, port: at, priority = 0, weight = 0 }) =>
      [`srv-host=${name}`, target, at, priority, weight].join(','),
    ),
    '',
  ].join('\n');
}
