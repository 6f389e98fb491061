import type { RejectionReason, UserInfo } from '../decision.ts';
import type { AuthenticatorPlugin } from '../plugin.ts';

/** A token that the plugin must accept, and the whole user it must answer with. */
export interface ValidToken {
  readonly token: string;
  /** Compared whole: a group too many is as wrong as one too few. The order of groups does not count. */
  readonly user: UserInfo;
}

/** A token of the plugin's own that it must refuse: a known user with a wrong secret, an expired token, and so on. */
export interface RejectedToken {
  readonly token: string;
  readonly reason: RejectionReason;
  /**
   * The name as the backend knows it, which the decision may carry. Left out: the backend knows none, and the decision
   * must carry none. Give a token with the name typed in another way than the backend writes it, if that is possible.
   */
  readonly subject?: string;
  /** True when the plugin refuses it without asking the backend, and so during an outage too. Default: false. */
  readonly withoutBackend?: boolean;
}

/** Options that can't work. */
export interface BadOptions {
  /** As the gateway would hand them over: `{ env }` and `{ file }` replaced. */
  readonly options: unknown;
  /** The key that the error must name, dotted where it is nested: `bind.dn`, `urls.0`. */
  readonly key: string;
}

/** How the kit makes an outage. Each call ends once the backend is in that state. */
export interface ConformanceBackend {
  /** From now on connections are refused, and those that stand are cut. */
  stop(): Promise<void>;
  /** Works again, with the same users and tokens, after `stop` or `hang`, or when it works already. */
  start(): Promise<void>;
  /** From now on nothing is answered, on connections that stand and on new ones. Without it, skip the cases for it. */
  hang?(): Promise<void>;
}

/**
 * What a plugin's author fills in. `skip` and `backend` are read at once, everything else when a case runs: so a
 * getter serves for what is known only once a server has been started.
 */
export interface ConformanceHarness<Options> {
  /** The package's default export. */
  readonly plugin: AuthenticatorPlugin<Options>;
  /** Good options, as the gateway would hand them over: not validated yet, `{ env }` and `{ file }` replaced. */
  readonly options: unknown;
  /** At least one. */
  readonly badOptions: readonly BadOptions[];
  /** The folder where relative paths in options start, absolute. */
  readonly baseDirectory: string;
  /** At least two, of different users. */
  readonly validTokens: readonly ValidToken[];
  /** At least one. */
  readonly rejectedTokens: readonly RejectedToken[];
  /** Tokens that are not the plugin's: it must have no opinion of them. At least one. */
  readonly foreignTokens: readonly string[];
  /**
   * Every password within the tokens above and within the options, 8 characters or more, random. They and the tokens
   * are looked for in all that the plugin says. Empty if there are none.
   */
  readonly secrets: readonly string[];
  /** `none`: the reason why there is no backend that could fail. The cases about outages are then skipped for it. */
  readonly backend: ConformanceBackend | { readonly none: string };
  /** True when the plugin sends passwords to the backend, and so must ask `context.attempts` before each. */
  readonly sendsPasswords: boolean;
  /** True when the plugin, with these options, reads files by `context.watchFile`. */
  readonly watchesFiles: boolean;
  /** Tokens of `count` users for the calls at once. Left out: `validTokens`, again and again. */
  readonly manyTokens?: (count: number) => Promise<readonly ValidToken[]>;
  /** Case names, each with the reason why it can't hold for this plugin. A name that is no case is an error. */
  readonly skip?: Readonly<Record<string, string>>;
  /** Milliseconds that one call may take; an abort must end it in a quarter of that. Default: 3000, the gateway's. */
  readonly deadline?: number;
  /** Milliseconds until a backend that is back must be used again. Default: 5000, for which a circuit stays open. */
  readonly recoverWithin?: number;
  /** Milliseconds for one whole case; give the test runner more. Default: 15000. */
  readonly limit?: number;
}

/** One case, as data: `test(name, run)` in any runner. Cases of one harness never overlap, whatever the runner does. */
export interface ConformanceCase {
  /** A sentence, unique within the kit. */
  readonly name: string;
  /** Why it is skipped: hand it to the runner. `run` then rejects, so that a skip never passes for a success. */
  readonly skip?: string;
  /** Rejects with a message that says what was expected, what came and why it matters. It names no token. */
  readonly run: () => Promise<void>;
}
