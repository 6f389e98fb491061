import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import { causeOf } from '../config/problems.ts';
import type { AuditConfig, GatewayConfig } from '../config/types.ts';
import type { Entry } from '../revocation/types.ts';
import type { OnReview } from '../server/review-report.ts';
import { createLineWriter, type LineWriter } from './line-writer.ts';
import { type AuditOutput, openOutput } from './output.ts';
import { type AuditRecord, createAuditRecord } from './record.ts';
import { createTokenFingerprint, fingerprintSecret } from './token-fingerprint.ts';
import { createTroubleLog, type TroubleLog } from './trouble-log.ts';

/** The audit trail: a line for each decision and each act of an administrator, or a line that tells how many are missing before it. */
export interface AuditTrail {
  /** Never throws, and waits for nothing. */
  readonly record: OnReview;
  /** A line for what an administrator did. Never throws, and waits for nothing. */
  readonly act: (entry: Entry) => void;
  /**
   * Goes by another config. A change of the output loses no line.
   *
   * @throws AuditOutputError when it can't be opened: the trail goes on as before
   */
  configure(config: Pick<GatewayConfig, 'audit' | 'cache'>): Promise<void>;
  /** The same once that config runs: what can't be opened any more is logged. Never rejects. */
  follow(config: Pick<GatewayConfig, 'audit' | 'cache'>): Promise<void>;
  /** Opens its file anew: the old one was moved away. What can't be opened is logged, and the old one is kept. */
  reopen(): Promise<void>;
  /** Writes what waits, for 2 s at most, and ends. */
  close(): Promise<void>;
}

export interface AuditTrailDependencies {
  readonly logger: Logger;
  readonly onDropped: () => void;
}

/** Lines wait here while the output is slow or full; beyond it they are dropped rather than answers delayed. In bytes. */
const room = 8 * 1024 * 1024;

/** How long what waits may take to be written when the trail ends, in milliseconds. */
const endLimit = 2_000;

/** What the trail goes by; undefined: there is none. */
interface Settings {
  readonly audit: AuditConfig;
  readonly output: AuditOutput;
}

export function createAuditTrail({ logger, onDropped }: AuditTrailDependencies): AuditTrail {
  const boot = randomUUID();
  const { writer, record, troubles } = createWriting(boot, logger, onDropped);
  let settings: Settings | undefined;
  const inTurn = createTurns();

  async function open(audit: AuditConfig): Promise<void> {
    const output = await openOutput(audit);
    if (settings?.output.identity === output.identity) {
      // The same file still: a line that was begun can be ended.
      await output.close();
      settings = { audit, output: settings.output };
      return;
    }
    writer.use(output);
    settings = { audit, output };
  }

  async function end(): Promise<void> {
    record.use(undefined);
    if (settings === undefined) return;
    settings = undefined;
    const lost = await writer.flush(endLimit);
    for (let line = 0; line < lost; line++) onDropped();
    if (lost > 0) logger.warn({ lines: lost }, 'the end of the audit trail is lost: it could not be written in time');
    writer.use(undefined);
    troubles.ended();
  }

  const configure: AuditTrail['configure'] = ({ audit, cache }) =>
    inTurn(async () => {
      if (audit === undefined) return end();
      const isOther = settings === undefined || nameOf(settings.audit) !== nameOf(audit);
      if (isOther) await open(audit);
      record.use(createTokenFingerprint(fingerprintSecret(cache.redis)));
      if (isOther) logger.info({ output: nameOf(audit), boot }, 'the audit trail is written here');
    });
  const complain = (error: unknown) => {
    logger.error({ problems: [causeOf(error)] }, 'the audit trail can not be opened: it goes on as before');
  };

  return {
    record: record.write,
    act: record.act,
    configure,
    follow: (config) => configure(config).catch(complain),
    reopen: () =>
      inTurn(async () => {
        if (settings === undefined || settings.audit.output === 'stdout') return;
        await open(settings.audit);
        logger.info({ output: nameOf(settings.audit) }, 'the audit trail is opened anew');
      }).catch(complain),
    close: () => inTurn(end),
  };
}

function createWriting(
  boot: string,
  logger: Logger,
  onDropped: () => void,
): { writer: LineWriter; record: AuditRecord; troubles: TroubleLog } {
  const troubles = createTroubleLog(logger, () => performance.now());
  const writer = createLineWriter({ room, onFault: troubles.failed, onEmpty: troubles.recovered });
  const record = createAuditRecord(boot, writer.offer, () => {
    onDropped();
    troubles.dropped();
  });
  return { writer, record, troubles };
}

function nameOf({ output }: AuditConfig): string {
  return output === 'stdout' ? output : output.file;
}

/** One after the other: two changes of the output must not cross. */
function createTurns(): (work: () => Promise<void>) => Promise<void> {
  let last: Promise<void> = Promise.resolve();
  return (work) => {
    const turn = last.then(work);
    last = turn.catch(() => undefined);
    return turn;
  };
}
