/** The history of a soak: what was done and answered, and when. It contains numbers in place of secrets. */

/** The begin and the end of an event, in milliseconds of one clock. The end is Infinity while the event is in progress. */
export interface Span {
  readonly begin: number;
  end: number;
}

/** A user as Kubernetes sees them. */
export interface Identity {
  readonly username: string;
  readonly groups: readonly string[];
  readonly uid: string | undefined;
}

/** A token, password or code by its number. It is valid from its {@link Made} to its {@link Ended}, and never without a `Made`. */
export interface Secret {
  readonly number: number;
  readonly kind:
    | 'password'
    | 'session'
    | 'robot token'
    | 'static token'
    | 'unknown token'
    | 'directory token'
    | 'app'
    | 'code'
    | 'page code';
  /** The user that it belongs to. For a wrong password, it is the user that it was tried for. */
  readonly user?: Identity;
  /** The account in the directory, if the user has another name there. */
  readonly account?: string;
}

export type ObservedAnswer = Identity | 'refused' | 'error';

/** An attempt to get access by showing a secret. */
export interface Attempt extends Span {
  readonly what: 'review' | 'login';
  readonly replica: number;
  readonly secret: Secret;
  /** Whether it is a session, and another cluster asked. */
  readonly isForeign?: boolean;
  /** The answer. It is undefined while there is none yet. */
  answer?: ObservedAnswer;
}

/** The use of a code that works once. */
export interface Use extends Span {
  readonly what: 'use';
  readonly replica: number;
  readonly secret: Secret;
  /** For a code of an app: the app and its step. */
  readonly step?: { readonly app: Secret; readonly number: number };
  answer?: 'accepted' | 'refused' | 'error';
}

export interface Made extends Span {
  readonly what: 'made';
  readonly secret: Secret;
  /** How a session was made, if more is known than its begin and end. */
  readonly login?: {
    /** The first proof, such as the password, had begun by this time. */
    readonly provedBy: number;
    /** The last request, which can have written the session, began at this time. */
    readonly redeemedFrom: number;
    /** The app whose code was the second proof. */
    readonly app?: Secret;
  };
}

export interface Ended extends Span {
  readonly what: 'logout' | 'new password' | 'revoke' | 'removal';
  readonly secret: Secret;
  /** The act on the user, or on an app of theirs, that ended a session. */
  readonly cause?: UserAct['what'] | 'removal of the app';
  /** Whether the answer or the exit status said that it is done, by all replicas if a command says that. */
  isSure: boolean;
}

export interface UserAct extends Span {
  /**
   * `forget` is `revoke --user`, and `reset` is `factor reset`: they end the user's sessions, and all replicas forget what they cached
   * of the user. `everywhere` is a logout of all sessions. `disable`, `enable` and `groups` change the account in the directory.
   */
  readonly what:
    | 'block'
    | 'unblock'
    | 'forget'
    | 'reset'
    | 'everywhere'
    | 'disable'
    | 'enable'
    | 'groups';
  readonly username: string;
  /** The groups of the account from `groups` on. */
  readonly groups?: readonly string[];
  isSure: boolean;
}

/** A wrong password that reached the directory, as the network in front of it sees it. */
export interface Bind extends Span {
  readonly what: 'bind';
  readonly username: string;
  /** Undefined for a password that no one has shown in this soak. */
  readonly secret: Secret | undefined;
  /** Whether the directory's refusal reached the gateway. */
  isAnswered: boolean;
}

/** A fault. It ends when all has recovered. */
export interface Fault extends Span {
  readonly what: 'fault';
  readonly kind: string;
  readonly hits: readonly ('cache' | 'tokens' | 'directory' | 'replica')[];
  /** The only replica that is hit. It is undefined if all are. */
  readonly replica?: number;
  /** Another node takes over, which may not have the last writes. */
  readonly losesWrites?: boolean;
}

export type Event = Attempt | Use | Made | Ended | UserAct | Bind | Fault;

export interface Violation {
  readonly of: Attempt | Use | Bind;
  readonly why: string;
}

export function isAttempt(event: Event): event is Attempt {
  return event.what === 'review' || event.what === 'login';
}
