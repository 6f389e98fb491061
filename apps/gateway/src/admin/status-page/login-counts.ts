import type { OnLogin } from '../../login/login-report.ts';
import type { RevalidationResult } from '../../sessions/session-user.ts';
import type { LoginStatus } from './document.ts';

/** Counts what the page shows of logins, since the start of this process. */
export interface LoginCounts {
  /** Never throws. */
  readonly record: OnLogin;
  revalidated(result: RevalidationResult): void;
  readonly counts: Pick<LoginStatus, 'loggedIn' | 'refused' | 'unanswered' | 'loggedOut' | 'sessionsRefused'>;
}

export function createLoginCounts(): LoginCounts {
  const counts = { loggedIn: 0, refused: 0, unanswered: 0, loggedOut: 0, sessionsRefused: 0 };
  return {
    record({ action, outcome, ended = 0 }) {
      counts.loggedOut += ended;
      if (action !== 'login') return;
      if (outcome === 'ok') counts.loggedIn += 1;
      else if (outcome === 'refused') counts.refused += 1;
      else if (outcome !== 'invalid' && outcome !== 'gone') counts.unanswered += 1;
    },
    revalidated(result) {
      if (result === 'refused') counts.sessionsRefused += 1;
    },
    counts,
  };
}
