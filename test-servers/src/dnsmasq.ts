import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { accepts, freePort, withFreePorts } from './ports.ts';
import { createServerProcess } from './server-process.ts';
import { temporaryFolder } from './temporary-folder.ts';

/** What the DNS server knows, all below `test.` */
export interface DnsRecords {
  /** SRV records (RFC 2782). A target without addresses here has none. */
  readonly services?: readonly {
    readonly name: string;
    readonly target: string;
    readonly port: number;
    readonly priority?: number;
    readonly weight?: number;
  }[];
  /** A and AAAA records. */
  readonly addresses?: Readonly<Record<string, readonly string[]>>;
}

/** A DNS server of its own on loopback, over UDP and TCP, stopped and deleted when it is let go. */
export interface Dnsmasq extends AsyncDisposable {
  /** `127.0.0.1:PORT` */
  readonly nameServer: string;
  /** Starts again with these records in the place of all others. */
  publish(records: DnsRecords): Promise<void>;
  stop(): Promise<void>;
  /** After `stop` or `hang`, on the same port. */
  start(): Promise<void>;
  hang(): Promise<void>;
}

/** Starts dnsmasq, which is in Debian's dnsmasq-base. */
export function startDnsmasq(records: DnsRecords): Promise<Dnsmasq> {
  return withFreePorts(async () => {
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
    return {
      nameServer: `127.0.0.1:${port}`,
      async publish(changed) {
        await server.stop();
        await writeFile(configuration, configurationOf(port, folder, changed));
        await server.start();
      },
      stop: server.stop,
      start: server.start,
      hang: server.hang,
      [Symbol.asyncDispose]: () => owned.disposeAsync(),
    };
  });
}

function configurationOf(port: number, folder: string, { services = [], addresses = {} }: DnsRecords): string {
  return [
    `port=${port}`,
    'listen-address=127.0.0.1',
    'bind-interfaces',
    'no-resolv',
    'no-hosts',
    // Nothing is asked of others: a name below test does not exist unless it is here, and others are refused.
    'local=/test/',
    `pid-file=${join(folder, 'pid')}`,
    // Whoever starts it stays whoever it is: a container may not let it become another.
    `user=${process.getuid?.() === 0 ? 'root' : ''}`,
    'log-facility=-',
    ...services.map(({ name, target, port: at, priority = 0, weight = 0 }) =>
      [`srv-host=${name}`, target, at, priority, weight].join(','),
    ),
    ...Object.entries(addresses).map(([name, list]) => `host-record=${[name, ...list].join(',')}`),
    '',
  ].join('\n');
}
