import type { LoggedIn } from '../authenticator.ts';
import type { RejectionReason, UserInfo } from '../decision.ts';
import type { AuthenticatorPlugin } from '../plugin.ts';

/** A token that the plugin must accept, and the user of the answer, with all fields. */
export interface ValidToken {
  readonly token: string;
  /** All fields are compared: a group too many is as wrong as one too few. The order of groups does not matter. */
  readonly user: UserInfo;
}

/** A token of the plugin's own that it must refuse, such as an expired one or one with a wrong secret. */
export interface RejectedToken {
  readonly token: string;
  readonly reason: RejectionReason;
  /**
   * The name as the backend knows it, which the decision may carry. Left out: the backend knows none, and the decision
   * must carry none. Give a token with the name in another spelling than the backend's, if that is possible.
   */
  readonly subject?: string;
  /** True when the plugin refuses it without asking the backend, and so during an outage too. Default: false. */
  readonly withoutBackend?: boolean;
}

/** The cases of `revalidate` need these besides the users of `validTokens`, who must all pass. */
export interface RevalidationSamples {
  /** Users that the backend knows and does not let in: disabled, locked, expired. At least one is needed. */
  readonly refused: readonly { readonly user: LoggedIn; readonly reason: RejectionReason }[];
}

/** Options that can't work. */
export interface BadOptions {
  /** The options as the gateway passes them: `{ env }` and `{ file }` are replaced. */
  readonly options: unknown;
  /** The key that the error must name, dotted where it is nested: `bind.dn`, `urls.0`. */
  readonly key: string;
}

/** The kit makes outages with these calls. Each call ends once the backend is in that state. */
export interface ConformanceBackend {
  /** From now on connections are refused, and open ones are cut. */
  stop(): Promise<void>;
  /** The backend works again, with the same users and tokens, after `stop` or `hang`. It may be called when it works already. */
  start(): Promise<void>;
  /** From now on nothing is answered, on open connections and on new ones. Without it, skip the cases for it. */
  hang?(): Promise<void>;
}

/**
 * A plugin's author fills in the harness. `skip` and `backend` are read immediately, everything else when a case runs: so use
 * a getter for what is known only once a server has been started.
 */
export interface ConformanceHarness<Options> {
  /** The package's default export. */
  readonly plugin: AuthenticatorPlugin<Options>;
  /** Valid options, as the gateway passes them: not validated yet, `{ env }` and `{ file }` are replaced. */
  readonly options: unknown;
  /** At least one is needed. */
  readonly badOptions: readonly BadOptions[];
  /** The folder where relative paths in options start, absolute. */
  readonly baseDirectory: string;
  /** At least two are needed, of different users. */
  readonly validTokens: readonly ValidToken[];
  /** At least one is needed. */
  readonly rejectedTokens: readonly RejectedToken[];
  /** Tokens that are not the plugin's: it must have no opinion of them. At least one is needed. */
  readonly foreignTokens: readonly string[];
  /**
   * Every password within the tokens above and within the options, 8 characters or more, random. The cases
   * search all output of the plugin for them and the tokens. Empty if there are none.
   */
  readonly secrets: readonly string[];
  /** `none`: the reason why there is no backend that could fail. The cases about outages are then skipped for it. */
  readonly backend: ConformanceBackend | { readonly none: string };
  /** True when the plugin sends passwords to the backend, and so must ask `context.attempts` before each. */
  readonly sendsPasswords: boolean;
  /** True when the plugin, with these options, reads files by `context.watchFile`. */
  readonly watchesFiles: boolean;
  /**
   * True when the authenticator has `lookUp`: the cases then look up the users of `validTokens` by their usernames. With
   * `revalidation`, they also do so as the gateway does for the token of another authenticator. Default: false.
   */
  readonly looksUpUsers?: boolean;
  /** Left out: the authenticator has no `revalidate`. */
  readonly revalidation?: RevalidationSamples;
  /** Tokens of `count` users for the concurrent calls. Left out: `validTokens`, repeated. */
  readonly manyTokens?: (count: number) => Promise<readonly ValidToken[]>;
  /** Case names, each with the reason why it can't hold for this plugin. A name that is not a case's is an error. */
  readonly skip?: Readonly<Record<string, string>>;
  /** Milliseconds that one call may take; an abort must end it in a quarter of that. Default: 3000, the gateway's. */
  readonly deadline?: number;
  /** Milliseconds until a backend that has recovered must be used again. Default: 5000, as long as a circuit is open. */
  readonly recoverWithin?: number;
  /** Milliseconds for one whole case; give the test runner more. Default: 15000. */
  readonly limit?: number;
}

/** A case is data for any test runner: `test(name, run)`. Cases of one harness never overlap, whatever the runner does. */
export interface ConformanceCase {
  /** A sentence, unique within the kit. */
  readonly name: string;
  /** The reason why it is skipped: pass it to the runner. `run` then rejects, so that a skip never counts as a success. */
  readonly skip?: string;
  /** Rejects with a message: what was expected, what came instead and why it matters. It contains no token. */
  readonly run: () => Promise<void>;
}
