import type { Logger } from 'pino';
import { coversWarning } from '../config/acknowledgements.ts';
import { placed } from '../config/problems.ts';
import type { GatewayConfig } from '../config/types.ts';
import { warnOfTime } from '../http/tls.ts';
import { listCertificates, type TlsOfAddresses } from '../login/login-tls.ts';

/** How often the warnings about the certificates in force are repeated. Milliseconds. */
const day = 24 * 60 * 60 * 1000;

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

/** Logs the warnings about certificates when they are loaded, and then each day which of them have expired or will soon. */
export function createCertificateWarnings(logger: Logger) {
  let certificates: ReturnType<typeof listCertificates> = [];
  const log = (warnings: readonly string[]) => {
    for (const warning of warnings) logger.warn({}, warning);
  };
  const timer = setInterval(() => {
    log(certificates.flatMap((certificate) => warnOfTime(certificate, Date.now())));
  }, day).unref();
  return {
    /** Logs the warnings now, and again a day after the last load. */
    load(tls: TlsOfAddresses): void {
      certificates = listCertificates(tls);
      log([...(tls.server?.warnings ?? []), ...(tls.login?.warnings ?? [])]);
      timer.refresh();
    },
    [Symbol.dispose](): void {
      clearInterval(timer);
    },
  };
}
