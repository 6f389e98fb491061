import { hash } from 'node:crypto';
import { detailsOf, type LoginReport, type OnLogin } from '../login/login-report.ts';
import type { Entry } from '../revocation/list.ts';
import type { RefusedSession } from '../sessions/with-sessions.ts';
import { administrativeAct } from './entry.ts';

/** What is recorded besides reviews. Nothing of it throws, or waits for anything. */
export interface AuditEvents {
  /** One line for each act of an administrator, however often this process learns of it. */
  readonly act: (entry: Entry) => void;
  /** A line for each login and each logout. */
  readonly login: OnLogin;
  /** One line for each session and reason, however often it is refused. */
  readonly refusedSession: (refused: RefusedSession) => void;
}

interface NoteOptions {
  /** Wall clock, milliseconds since 1970. Left out: now. */
  readonly at?: number;
  /** Its fingerprint is in the line. */
  readonly token?: string | undefined;
  /** An event with a key gets one line. */
  readonly key?: string;
}

/** Writes one line, after all that came before it. */
export type Note = (entry: object, options: NoteOptions) => void;

export function createAuditEvents(note: Note): AuditEvents {
  const startedAt = Date.now();
  return {
    act: (entry) => note(administrativeAct(entry, startedAt), { key: keyOf(entry) }),
    login(report) {
      const { at, token } = report;
      const entry = loginEntry(report);
      if (entry !== undefined) note(entry, { at, token });
    },
    refusedSession(refused) {
      const { session, token, reason } = refused;
      const entry = { event: 'session-refused', ...detailsOf({ ...refused, address: session.address }) };
      note(entry, { token, key: hash('sha256', JSON.stringify([token, reason])) });
    },
  };
}

/** What a line says of a login or logout; undefined for a request that is neither, or was refused unread. */
function loginEntry(report: LoginReport): object | undefined {
  const { action, outcome, seconds } = report;
  const isLogin = action === 'login' && ['ok', 'refused', 'unavailable', 'error'].includes(outcome);
  const isLogout = (action === 'logout' || action === 'logout-everywhere') && outcome === 'ok';
  if (!isLogin && !isLogout) return undefined;
  return { event: action, outcome, ...detailsOf(report), seconds: Math.round(seconds * 1e6) / 1e6 };
}

/** The same for one act, also where a replica has written it back to Redis under another id. */
function keyOf({ action, kind, name, at, by }: Entry): string {
  return JSON.stringify([action, kind, name, at, by]);
}
