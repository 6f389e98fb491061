import { dirname, join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import type { Logger } from 'pino';
import { flagsForRunning } from '../base/node-flags.js';
import { shellQuoted } from '../base/shell-quoted.ts';
import { prepareDemo } from '../runtime/demo.ts';
import { type Gateway, type GatewayOptions, startGateway } from '../runtime/gateway.ts';
import { configFile } from './config-file.ts';
import type { CommandContext } from './context.ts';
import type { ConfigOptions } from './options.ts';
import { type ExitCode, exitCodes } from './output.ts';

export async function serve(
  context: CommandContext,
  options: ConfigOptions & Pick<GatewayOptions, 'listen' | 'adminListen'>,
) {
  const { config, configSource: _, demo, ...addresses } = options;
  const isDemo = demo === true && config === undefined;
  const file = await configFile(context, options);
  const logger = await context.createLogger('info');
  const end = Promise.withResolvers<ExitCode>();
  const bodyFile = isDemo ? await prepareDemo(join(dirname(file), '.demo')) : undefined;
  const starting = startGateway({
    ...addresses,
    takesAnyPort: isDemo,
    configFile: file,
    environment: context.environment,
    logger,
  });
  onSignals(starting, logger, end.resolve);
  const gateway = await starting;
  for (const flag of flagsForRunning(process.execArgv)) setFlagsFromString(flag);
  if (bodyFile !== undefined) context.stdout.write(invitation(gateway, bodyFile));
  return end.promise;
}

function onSignals(starting: Promise<Gateway>, logger: Logger, end: (code: ExitCode) => void) {
  const stop = (delay?: number, code: ExitCode = exitCodes.success) => {
    const stopped = starting.then((gateway) => gateway.shutdown(delay)).then(() => code);
    stopped.then(end, () => end(exitCodes.failure));
  };
  // Ctrl-C reaches the process twice under a package manager, so a second signal must not mean "immediately".
  process.on('SIGTERM', () => stop());
  // SIGINT comes from a person at a terminal: no load balancer has to learn of it first.
  process.on('SIGINT', () => stop(0));
  process.on('SIGHUP', () => {
    void starting.then((gateway) => gateway.reload());
  });
  // A plugin forgot a promise. Its own call has an answer or a deadline, and all other calls go on.
  process.on('unhandledRejection', (error) =>
    logger.error({ err: error }, 'unhandled promise rejection'),
  );
  // Only the first error is logged, since those that follow while the process ends are like it.
  process.once('uncaughtException', (error) => {
    process.on('uncaughtException', () => undefined);
    logger.fatal({ err: error }, 'uncaught error: finishing the reviews in progress, then exiting');
    stop(0, exitCodes.failure);
  });
}

function invitation({ url, adminUrl, takenAddresses }: Gateway, bodyFile: string): string {
  const moved =
    takenAddresses.length === 0
      ? ''
      : `\nAnother process listens on ${takenAddresses.join(' and ')}, so the demo uses free ports.\n`;
  return `${moved}
Sallyport answers token reviews on ${url}/authenticate

It made a demo token for you; only its digest is in the config. Ask who it belongs to:

  curl -sS -H 'Content-Type: application/json' --data-binary ${shellQuoted(`@${bodyFile}`)} ${url}/authenticate

See what comes in, live: ${adminUrl}/

`;
}
