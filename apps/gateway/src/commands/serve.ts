import { dirname, join } from 'node:path';
import type { Logger } from 'pino';
import { parseListenAddress } from '../config/listen.ts';
import { causeOf } from '../config/problems.ts';
import type { ListenAddress } from '../config/types.ts';
import { createLogger } from '../logging/logger.ts';
import { prepareDemo } from '../runtime/demo.ts';
import { type Gateway, startGateway } from '../runtime/gateway.ts';
import { configFile } from './config-file.ts';
import { type ExitCode, exitCodes } from './exit-codes.ts';
import { shellQuoted } from './shell-quoted.ts';
import { UsageError } from './usage-error.ts';

export interface ServeOptions {
  readonly config?: string;
  readonly listen?: string;
  readonly adminListen?: string;
}

/** Answers reviews until a signal ends it. */
export async function serve(options: ServeOptions): Promise<ExitCode> {
  const { file, isEmbedded } = configFile(options.config);
  const logger = createLogger('info');
  const end = Promise.withResolvers<ExitCode>();
  const bodyFile = isEmbedded ? await prepareDemo(join(dirname(file), '.demo')) : undefined;
  const starting = startGateway({
    configFile: file,
    ...address('listen', options.listen),
    ...address('adminListen', options.adminListen),
    environment: process.env,
    logger,
  });
  onSignals(starting, logger, end.resolve);
  const gateway = await starting;
  if (bodyFile !== undefined) process.stdout.write(invitation(gateway, bodyFile));
  return end.promise;
}

function address<Key extends string>(key: Key, text: string | undefined): Partial<Record<Key, ListenAddress>> {
  if (text === undefined) return {};
  try {
    return { [key]: parseListenAddress(text) } as Partial<Record<Key, ListenAddress>>;
  } catch (error) {
    throw new UsageError(causeOf(error));
  }
}

function onSignals(starting: Promise<Gateway>, logger: Logger, end: (code: ExitCode) => void): void {
  const stop = (delay?: number, code: ExitCode = exitCodes.success) => {
    starting
      .then((gateway) => gateway.shutdown(delay))
      .then(
        () => end(code),
        () => end(exitCodes.fault),
      );
  };
  // Ctrl-C reaches the process twice under a package manager, so a second signal must not mean "at once".
  process.on('SIGTERM', () => stop());
  // Somebody at a terminal: no load balancer has to hear of it first.
  process.on('SIGINT', () => stop(0));
  process.on('SIGHUP', () => {
    void starting.then((gateway) => gateway.reload());
  });
  // A plugin's forgotten promise: its own call has an answer or a deadline, and everybody else's goes on.
  process.on('unhandledRejection', (error) => logger.error({ err: error }, 'a promise was rejected and nobody looked'));
  // The first tells; those that follow while it ends are like it.
  process.once('uncaughtException', (error) => {
    process.on('uncaughtException', () => undefined);
    logger.fatal({ err: error }, 'uncaught error: answering what is under way, then ending');
    stop(0, exitCodes.fault);
  });
}

function invitation({ url, adminUrl }: Gateway, bodyFile: string): string {
  return `
Sallyport answers token reviews on ${url}/authenticate

It made a demo token for you; only its digest is in the config. Ask who it belongs to:

  curl -sS -H 'Content-Type: application/json' --data-binary ${shellQuoted(`@${bodyFile}`)} ${url}/authenticate

See what comes in, live: ${adminUrl}/

`;
}
