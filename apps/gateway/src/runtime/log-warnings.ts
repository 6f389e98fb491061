import type { Logger } from 'pino';
import { coversWarning } from '../config/acknowledgements.ts';
import { placed } from '../config/problems.ts';
import type { GatewayConfig } from '../config/types.ts';
import type { TlsOfAddresses } from '../login/login-tls.ts';

/** Logs the warnings about the config, and how many others `check.acknowledge` covers, which `check` calls `config`. */
export function logConfigWarnings(
  { warnings, acknowledgements }: Pick<GatewayConfig, 'warnings' | 'acknowledgements'>,
  logger: Logger,
): void {
  const unexpected = warnings.filter((problem) => {
    const text = `config: ${placed(problem).message}`;
    return !acknowledgements.some((entry) => coversWarning(entry, 'config', text));
  });
  for (const problem of unexpected) logger.warn({ problem }, 'config warning');
  const count = warnings.length - unexpected.length;
  if (count > 0) logger.info({ count }, 'config warnings acknowledged');
}

export function logCertificateWarnings({ server, login }: TlsOfAddresses, logger: Logger): void {
  for (const warning of [...(server?.warnings ?? []), ...(login?.warnings ?? [])])
    logger.warn({}, warning);
}
