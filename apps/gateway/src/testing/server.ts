import type { AuthenticateContext, Decision } from '@sallyport/authenticator';
import { onTestFinished, vi } from 'vitest';
import type { ServerConfig } from '../config/types.ts';
import type { AccessDecision, AccessSubject } from '../engine/revocation/access-denial.ts';
import type { ConnectionLimits } from '../http/limits.ts';
import { createInFlightCounter, type InFlightCounter } from '../http/limits.ts';
import type { TlsMaterial } from '../http/tls.ts';
import type { AccessReport } from '../review/access-report.ts';
import { createReviewLog, type ReviewOutcome } from '../review/review-report.ts';
import { type ReviewServer, startReviewServer } from '../review/review-server.ts';

/** One line that was logged. */
export interface LogLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly fields: object;
  readonly message: string;
}

export interface TestServer extends ReviewServer {
  readonly inFlight: InFlightCounter;
  readonly accessInFlight: InFlightCounter;
  readonly accessReports: readonly AccessReport[];
  readonly log: LogLine[];
  readonly outcomes: [ReviewOutcome, string | undefined][];
  readonly settings: { -readonly [Key in keyof ServerConfig]: ServerConfig[Key] };
}

type Authenticate = (token: string, context: AuthenticateContext) => Promise<Decision>;

interface Overrides {
  readonly authenticate?: Authenticate;
  /** By default there is no opinion about any request to the cluster. */
  readonly decide?: (subject: AccessSubject) => AccessDecision;
  /** Whether the observer of access reviews throws. */
  readonly failsToObserve?: boolean;
  readonly settings?: Partial<ServerConfig>;
  readonly limits?: Partial<ConnectionLimits>;
  readonly tls?: TlsMaterial;
}

/** In milliseconds, longer than any test takes. */
export const anHour = 3_600_000;

export const alice: Decision = { kind: 'authenticated', user: { username: 'alice' } };

export function createLog(): {
  lines: LogLine[];
  logger: Record<LogLine['level'], (fields: object, message: string) => void>;
} {
  const lines: LogLine[] = [];
  const at = (level: LogLine['level']) => (fields: object, message: string) => {
    lines.push({ level, fields, message });
  };
  return {
    lines,
    logger: { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') },
  };
}

/**
 * Starts a real server on a free port of loopback, closed when the test ends. It authenticates every token by default.
 */
export async function startTestServer(overrides: Overrides = {}): Promise<TestServer> {
  const settings: TestServer['settings'] = {
    listen: { host: '127.0.0.1', port: 0 },
    apiAudiences: [],
    authorize: false,
    // A review that ends sooner was not ended by it.
    reviewTimeout: anHour,
    maxBodySize: 256 * 1024,
    maxTokenSize: 16 * 1024,
    maxInFlight: 1000,
    maxConnectionAge: 600_000,
    shutdownDelay: 0,
    drainTimeout: 20_000,
    ...overrides.settings,
  };
  const { lines: log, logger } = createLog();
  const outcomes: TestServer['outcomes'] = [];
  const inFlight = createInFlightCounter();
  const accessInFlight = createInFlightCounter();
  const accessReports: AccessReport[] = [];
  const report = (accessReport: AccessReport) => {
    if (overrides.failsToObserve) throw new Error('an observer failed');
    accessReports.push(accessReport);
  };
  const noOpinion = (): AccessDecision => ({ kind: 'no-opinion' });
  const server = await startReviewServer({
    settings: () => settings,
    authenticate: overrides.authenticate ?? (async () => alice),
    inFlight,
    access: {
      inFlight: accessInFlight,
      decide: overrides.decide ?? noOpinion,
      observers: [report],
    },
    logger,
    observers: [
      createReviewLog(logger, () => performance.now()),
      ({ outcome, version }) => outcomes.push([outcome, version]),
    ],
    limits: { drainGrace: 50, ...overrides.limits },
    ...(overrides.tls && { tls: overrides.tls }),
  });
  onTestFinished(() => server.close());
  return { ...server, inFlight, accessInFlight, accessReports, log, outcomes, settings };
}

/**
 * Stops the clock of the server's timers for this test, so that a timer of an hour never fires on a busy machine.
 * Timeouts of Node's sockets go on.
 *
 * @returns a function that moves the clock
 */
export function holdTimers(): (milliseconds: number) => void {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  onTestFinished(() => void vi.useRealTimers());
  return (milliseconds) => void vi.advanceTimersByTime(milliseconds);
}
