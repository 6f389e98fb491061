import { destination, type Logger, pino, stdTimeFunctions } from 'pino';
import { PinoPretty } from 'pino-pretty';
import type { LogLevel } from '../config/types.ts';
import { errorFields } from './error-fields.ts';

/** Logs wait here while standard error is slow; beyond it lines are lost rather than answers delayed. In bytes. */
const maxBuffered = 8 * 1024 * 1024;

/**
 * The log: JSON lines on standard error, or readable ones where that is a terminal. Standard output belongs to what
 * commands print.
 */
export function createLogger(level: LogLevel): Logger {
  const stream = process.stderr.isTTY
    ? PinoPretty({ destination: 2, sync: true, translateTime: 'SYS:HH:MM:ss.l', ignore: 'pid,hostname' })
    : destination({ dest: 2, sync: false, maxLength: maxBuffered });
  return pino(
    {
      level,
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: errorFields },
    },
    stream,
  );
}
