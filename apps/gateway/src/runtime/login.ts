import { parseCertificates, tlsFileLimit } from '@sallyport/plugin-options';
import type { Link } from '../chain/chain.ts';
import { createNetworks } from '../config/login.ts';
import { causeOf } from '../config/problems.ts';
import type { GatewayConfig, LoginConfig } from '../config/types.ts';
import { loadWatchedFile, type WatchedFile } from '../files/watched-file.ts';
import { writeKubeconfig } from '../login/kubeconfig.ts';
import type { LoginLink, LoginService } from '../login/login-service.ts';
import type { SessionTexts } from '../sessions/session-text.ts';
import { type CreateDependencies, closeMade, createTokenIssuer, issuesTokens } from './authenticators.ts';

/** What a generation has for the login server. */
export interface LoginParts {
  readonly service: LoginService;
  /** The CAs in kubeconfigs. */
  readonly files: readonly WatchedFile[];
  close(): Promise<void>;
}

export interface LoginPartsOptions {
  readonly config: GatewayConfig;
  readonly login: LoginConfig;
  readonly links: readonly LoginLink[];
  /** That of `login.sessions`. */
  readonly sessions: Link;
  readonly texts: SessionTexts;
  readonly dependencies: CreateDependencies;
  /** Keeps the generation open for a request in progress. */
  readonly hold: (work: Promise<unknown>) => void;
}

/** @throws Error when the issuer can't be made, or a CA can't be used; nothing is left open then */
export async function createLoginParts(options: LoginPartsOptions): Promise<LoginParts> {
  const { config, login, links, sessions, texts, dependencies, hold } = options;
  const { logger } = dependencies;
  const issuing = config.authenticators.filter(issuesTokens).find(({ name }) => name === login.sessions);
  if (issuing === undefined) throw new Error(`login.sessions: ${login.sessions} issues no tokens`);
  const authorities = await readAuthorities(login);
  const issuer = await createTokenIssuer(issuing, config.baseDirectory, dependencies);
  return {
    service: {
      config: login,
      proxies: createNetworks(login.trustedProxies),
      timeout: config.server.reviewTimeout,
      links,
      sessions,
      issuer,
      texts,
      kubeconfig: authorities.kubeconfig,
      problemOf: (error) => issuing.withhold(causeOf(error)),
      hold,
      logger,
    },
    files: authorities.files,
    close: () => closeMade('token issuer', issuer, issuing.name, logger),
  };
}

/** Reads the CAs, and writes each kubeconfig once for them: anyone can ask for one, as often as they like. */
async function readAuthorities(login: LoginConfig) {
  const { caFile, clusters } = login;
  // By the names of their clusters, '' for that of the login server.
  const texts = new Map<string, string>();
  const written = new Map<string, string>();
  const wanted = [
    { name: '', file: caFile, setting: 'login.caFile' },
    ...Object.entries(clusters).map(([name, one]) => {
      return { name, file: one.caFile, setting: `login.clusters.${name}.caFile` };
    }),
  ];
  const files: WatchedFile[] = [];
  for (const { name, file, setting } of wanted) {
    if (file === undefined) continue;
    const load = (content: Buffer) => {
      try {
        // The certificates alone: a file may have a key beside them, and anyone can ask for a kubeconfig.
        texts.set(name, parseCertificates(content).join(''));
        written.clear();
      } catch (error) {
        throw new Error(`${setting}: ${file} ${causeOf(error)}`);
      }
    };
    files.push(await loadWatchedFile(file, load, tlsFileLimit));
  }
  const kubeconfig = (name: string): string | undefined => {
    const text = written.get(name) ?? writeKubeconfig(login, name, { login: texts.get(''), cluster: texts.get(name) });
    if (text !== undefined) written.set(name, text);
    return text;
  };
  return { kubeconfig, files };
}
