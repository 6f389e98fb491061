import {
  type DestinationStream,
  destination,
  type LevelWithSilent,
  type Logger,
  pino,
  stdTimeFunctions,
} from 'pino';
import { errorFields } from './error-fields.ts';

/** Maximum number of bytes of log that wait while standard error is slow. More lines are lost, so that no answer is delayed. */
const maxBuffered = 8 * 1024 * 1024;

/**
 * Writes JSON lines to standard error, or readable ones when that is a terminal. Standard output is for what commands
 * print, and for the audit trail. What makes lines readable is loaded for a terminal only.
 *
 * @param stream takes the place of standard error, for tests
 */
export async function createLogger(
  level: LevelWithSilent,
  stream?: DestinationStream,
): Promise<Logger> {
  const options = {
    level,
    base: null,
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    serializers: { err: errorFields },
  };
  return pino(options, stream ?? (await standardError()));
}

async function standardError(): Promise<DestinationStream> {
  return process.stderr.isTTY
    ? (await import('pino-pretty')).PinoPretty({
        destination: 2,
        sync: true,
        translateTime: 'SYS:HH:MM:ss.l',
        ignore: 'pid,hostname',
      })
    : destination({ dest: 2, sync: false, maxLength: maxBuffered });
}
