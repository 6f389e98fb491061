import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import { createTurns } from '../../base/deadlines.ts';
import { errorFields } from '../../base/logging/error-fields.ts';
import { createLogLimiter } from '../../base/logging/log-limiter.ts';
import { describeCause } from '../../config/problems.ts';
import type { AuditConfig, GatewayConfig } from '../../config/types.ts';
import { createTokenFingerprint } from './entry.ts';
import { openOutput } from './output.ts';
import { createAuditRecord } from './record.ts';
import { createLineWriter } from './writer.ts';

/** Maximum number of bytes that wait while the output is slow or full. More lines are dropped, so that no answer is delayed. */
const capacity = 8 * 1024 * 1024;

/** The milliseconds that the trail may take to write what waits when it ends. */
const endLimit = 2_000;

type Settings = Pick<GatewayConfig, 'audit' | 'cache'>;

export type AuditTrail = ReturnType<typeof createAuditTrail>;

/**
 * Creates the audit trail: a line for each decision and each admin action, or a line that says how many are missing
 * before it.
 */
export function createAuditTrail(logger: Logger, onDropped: (lines: number) => void) {
  const boot = randomUUID();
  const troubles = createTroubleLog(logger, onDropped, () => performance.now());
  const writer = createLineWriter({
    capacity,
    onError: troubles.failed,
    onEmpty: troubles.recovered,
  });
  const { use, ...events } = createAuditRecord(boot, writer.offer, troubles.dropped);
  /** It is undefined while there is no trail. */
  let current: { readonly audit: AuditConfig; readonly identity: string } | undefined;
  // Two concurrent changes of the output would mix their outputs up.
  const inTurn = createTurns();

  async function open(audit: AuditConfig, message: string): Promise<void> {
    const output = await openOutput(audit);
    // A line that was begun can be ended in the same file.
    if (current?.identity === output.identity) output.close();
    else writer.use(output);
    current = { audit, identity: output.identity };
    logger.info({ output: outputName(audit), boot }, message);
  }

  async function end(): Promise<void> {
    use(undefined);
    if (current === undefined) return;
    current = undefined;
    troubles.ended(await writer.end(endLimit));
  }

  /**
   * Applies another config. A change of the output loses no line.
   *
   * @throws Error when it can't be opened; the output stays the same
   */
  const configure = ({ audit, cache }: Settings) =>
    inTurn(async () => {
      if (audit === undefined) return end();
      if (current === undefined || outputName(current.audit) !== outputName(audit))
        await open(audit, 'audit trail opened');
      use(createTokenFingerprint(cache.redis?.sealingKeys[0]));
    });
  const logFailure = (error: unknown) =>
    logger.error(
      { problems: [describeCause(error)] },
      'audit trail could not be opened: the previous output stays in use',
    );

  return {
    ...events,
    configure,
    /** Applies a config that runs already, and never rejects: an output that can't be opened any more is logged. */
    follow: (config: Settings) => configure(config).catch(logFailure),
    /**
     * Opens its file again, after the old one was moved away. If it can't be opened, that is logged, and the old one
     * stays in use.
     */
    reopen: () =>
      inTurn(async () => {
        if (current !== undefined && current.audit.output !== 'stdout')
          await open(current.audit, 'audit trail reopened');
      }).catch(logFailure),
    /** Writes what waits, for at most 2 s, and ends. */
    close: () => inTurn(end),
  };
}

function outputName({ output }: AuditConfig): string {
  return output === 'stdout' ? output : output.file;
}

/**
 * Counts dropped lines, and logs the state of the trail while it can't be written: at most once in 10 s, since a full
 * disk drops thousands of lines a second.
 *
 * @param now monotonic milliseconds
 */
export function createTroubleLog(
  logger: Logger,
  onDropped: (lines: number) => void,
  now: () => number,
) {
  const limit = createLogLimiter(now);
  let isLogged = false;
  let [since, total] = [0, 0];
  let code: string | undefined;

  function log(): void {
    if (limit('trouble') === undefined) return;
    isLogged = true;
    const fields = { dropped: since, ...(code !== undefined && { code }) };
    since = 0;
    logger.warn(
      fields,
      'audit lines wait or are dropped: the output is full, fails or is too slow',
    );
  }

  function reset(): void {
    code = undefined;
    isLogged = false;
    [since, total] = [0, 0];
  }

  return {
    dropped(): void {
      onDropped(1);
      since += 1;
      total += 1;
      log();
    },
    failed(error: Error): void {
      code = errorFields(error).code ?? error.name;
      log();
    },
    recovered(): void {
      code = undefined;
      if (!isLogged) return;
      logger.info({ dropped: total }, 'audit trail recovered: all waiting lines are written');
      reset();
    },
    /** Must be called when the trail was closed. @param lines the number of lines that were not written */
    ended(lines: number): void {
      reset();
      if (lines === 0) return;
      onDropped(lines);
      logger.warn(
        { lines },
        'audit lines lost: they could not be written before the trail was closed',
      );
    },
  };
}
