import type { Session } from '../engine/sessions/session-text.ts';

/** The requests of the login server. Any other request is `none`. */
export const loginActions = [
  'login',
  'begin',
  'page',
  'page-login',
  'provider',
  'provider-login',
  'page-factor',
  'confirm',
  'redeem',
  'begin-factor',
  'add-factor',
  'change-factors',
  'session',
  'sessions',
  'logout',
  'logout-everywhere',
  'clusters',
  'kubeconfig',
  'none',
] as const;
export type LoginAction = (typeof loginActions)[number];

/**
 * What audit trail, log and metrics learn of one request to the login server. Each step adds what it finds out, so that the facts
 * are there even if a later step fails. They contain no password.
 */
export interface LoginFacts {
  /** What the request is for. A route sets it, and a step that finds out that it is for something else. */
  action: LoginAction;
  /** The name that the client gives its machine, if it gives one. */
  device?: string | undefined;
  /** The cluster of a login that has no session yet. */
  cluster?: string | undefined;
  /** The authenticator that decided about a login, or could not check it. */
  authenticator?: string | undefined;
  /** The provider of a login in a browser. */
  provider?: string | undefined;
  /** Why a login was refused. It reaches no client. */
  reason?: string | undefined;
  /** The user of a refused login, as the backend knows them. */
  subject?: string | undefined;
  /** The user of a login that has no session yet, as Kubernetes sees them. */
  username?: string | undefined;
  /** The method by which the user proved their second factor, or which they added. */
  factor?: string | undefined;
  /** Who invited the user to add a second factor. */
  invitedBy?: string | undefined;
  /** The session that was made, or that the request came with. */
  session?: Session | undefined;
  /** The token of that session. It is written nowhere: the audit trail makes a fingerprint of it immediately. */
  token?: string | undefined;
  /** How many sessions a logout has ended. */
  ended?: number | undefined;
}

/** Begins the facts about a request of which no route is known yet. */
export function beginFacts(): LoginFacts {
  return { action: 'none' };
}

/** Adds what a step has found out. */
export function addFacts(facts: LoginFacts, added: Partial<LoginFacts>): void {
  Object.assign(facts, added);
}
