import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import { causeOf } from '../config/problems.ts';
import type { AuditConfig, GatewayConfig } from '../config/types.ts';
import type { OnReview } from '../server/review-report.ts';
import type { AuditEvents } from './events.ts';
import { openOutput } from './output.ts';
import { createAuditRecord } from './record.ts';
import { createTokenFingerprint } from './token-fingerprint.ts';
import { createTroubleLog } from './trouble-log.ts';
import { createLineWriter } from './writer.ts';

/** The audit trail: a line for each decision and each act of an administrator, or a line that says how many are missing before it. */
export interface AuditTrail extends AuditEvents {
  /** Never throws, and waits for nothing. */
  readonly record: OnReview;
  /**
   * Applies another config. A change of the output loses no line.
   *
   * @throws AuditOutputError when it cannot be opened: the output stays the same
   */
  configure(config: Pick<GatewayConfig, 'audit' | 'cache'>): Promise<void>;
  /** The same once that config runs: what cannot be opened any more is logged. Never rejects. */
  follow(config: Pick<GatewayConfig, 'audit' | 'cache'>): Promise<void>;
  /** Opens its file again, after the old one was moved away. What cannot be opened is logged, and the old one is used on. */
  reopen(): Promise<void>;
  /** Writes what waits, for at most 2 s, and ends. */
  close(): Promise<void>;
}

export interface AuditTrailDependencies {
  readonly logger: Logger;
  readonly onDropped: () => void;
}

/** Bytes that may wait while the output is slow or full. More lines are dropped, so that no answer is delayed. */
const capacity = 8 * 1024 * 1024;

/** How long the trail may take to write what waits when it ends, in milliseconds. */
const endLimit = 2_000;

export function createAuditTrail({ logger, onDropped }: AuditTrailDependencies): AuditTrail {
  const boot = randomUUID();
  const troubles = createTroubleLog(logger, () => performance.now());
  const writer = createLineWriter({ capacity, onError: troubles.failed, onEmpty: troubles.recovered });
  const record = createAuditRecord(boot, writer.offer, () => {
    onDropped();
    troubles.dropped();
  });
  /** Undefined: there is no trail. */
  let settings: { readonly audit: AuditConfig; readonly identity: string } | undefined;
  const inTurn = createTurns();

  async function open(audit: AuditConfig): Promise<void> {
    const output = await openOutput(audit);
    // A line that was begun can be ended in the same file.
    if (settings?.identity === output.identity) output.close();
    else writer.use(output);
    settings = { audit, identity: output.identity };
  }

  async function end(): Promise<void> {
    record.use(undefined);
    if (settings === undefined) return;
    settings = undefined;
    const lost = await writer.flush(endLimit);
    for (let line = 0; line < lost; line++) onDropped();
    if (lost > 0)
      logger.warn({ lines: lost }, 'audit lines lost: they could not be written before the trail was closed');
    writer.use(undefined);
    troubles.ended();
  }

  const configure: AuditTrail['configure'] = ({ audit, cache }) =>
    inTurn(async () => {
      if (audit === undefined) return end();
      const isOther = settings === undefined || nameOf(settings.audit) !== nameOf(audit);
      if (isOther) await open(audit);
      record.use(createTokenFingerprint(cache.redis?.sealingKeys[0]));
      if (isOther) logger.info({ output: nameOf(audit), boot }, 'audit trail opened');
    });
  const logFailure = (error: unknown) =>
    logger.error({ problems: [causeOf(error)] }, 'audit trail could not be opened: the output before is used on');

  return {
    record: record.write,
    ...{ act: record.act, login: record.login, refusedSession: record.refusedSession },
    configure,
    follow: (config) => configure(config).catch(logFailure),
    reopen: () =>
      inTurn(async () => {
        if (settings === undefined || settings.audit.output === 'stdout') return;
        await open(settings.audit);
        logger.info({ output: nameOf(settings.audit) }, 'audit trail reopened');
      }).catch(logFailure),
    close: () => inTurn(end),
  };
}

function nameOf({ output }: AuditConfig): string {
  return output === 'stdout' ? output : output.file;
}

/** One change of the output after the other: two at once would mix their outputs up. */
function createTurns(): (work: () => Promise<void>) => Promise<void> {
  let last: Promise<void> = Promise.resolve();
  return (work) => {
    const turn = last.then(work);
    last = turn.catch(() => undefined);
    return turn;
  };
}
