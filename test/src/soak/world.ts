/** What a soak consists of. */
import type { Slapd } from '@sallyport/test-servers/slapd';
import type { BenchGateway } from '../bench/gateway.ts';
import type { Tls } from '../bench/tls.ts';
import type { LoginAnswer, LoginRequest } from '../testing/ask-login.ts';
import type { CommandResult } from '../testing/command.ts';
import type { TokenReview } from '../testing/token-review.ts';
import type { DirectoryWay } from './directory-way.ts';
import type { Identity, Secret } from './history.ts';
import type { Store } from './stores.ts';

/** A secret with its token, which the history does not contain. */
export interface Credential extends Secret {
  /** The token that kube-apiserver sends. */
  readonly token: string;
}

export interface Person {
  readonly name: string;
  readonly dn: string;
  readonly identity: Identity;
  /** The password in force, and those before it. */
  credential: Credential;
  readonly old: Credential[];
}

/** An account in the directory of a user who has a JWT. */
export interface Account {
  readonly name: string;
  readonly dn: string;
  readonly credential: Credential;
}

/** A process that can end, and another one that takes its place. */
export interface Replica {
  readonly number: number;
  readonly gateway: BenchGateway;
  /** Sends a review. @param isSecond whether it is sent over HTTP/2 */
  review(
    token: string,
    audience: string,
    version: 'v1' | 'v1beta1',
    isSecond: boolean,
  ): Promise<TokenReview['status']>;
  /** Sends any body. @returns the status of the answer */
  send(body: string): Promise<number>;
  askLogin(request: LoginRequest): Promise<LoginAnswer>;
  kill(): Promise<void>;
  start(): Promise<void>;
}

export interface World {
  readonly replicas: readonly Replica[];
  readonly people: readonly Person[];
  /** People who have an authenticator app. */
  readonly phoneOwners: readonly Person[];
  readonly accounts: readonly Account[];
  readonly robots: readonly Credential[];
  readonly members: readonly Credential[];
  readonly tls: Tls;
  readonly slapd: Slapd;
  readonly directory: DirectoryWay;
  readonly cache: Store;
  readonly tokens: Store;
  /** Makes a credential with a new number. */
  newCredential(kind: Secret['kind'], token: string, user?: Identity): Credential;
  passwordOf(person: Pick<Person, 'name' | 'identity'>, password: string): Credential;
  /** Finds the credential of a password that was made or guessed in this soak. */
  findPassword(name: string, password: string): Credential | undefined;
  issueRobot(): Promise<Credential>;
  /** Replaces a file next to the config of all replicas. */
  write(name: string, content: string | ((replica: number) => string)): Promise<void>;
  config(replica: number | undefined, reviewTimeout: string): string;
  run(words: readonly string[]): Promise<CommandResult>;
  /** Runs `sallyport WORDS`. @returns its exit status, or null if it ended by a signal or says that a failover can undo it */
  command(words: readonly string[]): Promise<number | null>;
}
