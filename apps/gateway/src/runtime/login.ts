import type { TokenIssuer } from '@sallyport/authenticator';
import { parseCertificates, tlsFileLimit } from '@sallyport/plugin-kit';
import { loadWatchedFile, type WatchedFile } from '../config/files/watcher.ts';
import { createNetworks, defaultTitle } from '../config/login.ts';
import { describeCause, reworded } from '../config/problems.ts';
import type { GatewayConfig, LoginConfig } from '../config/types.ts';
import { endLogins } from '../engine/revocation/end-logins.ts';
import type { EndedSessions } from '../engine/revocation/ended-sessions.ts';
import type { ProbedRedis, SharedRedis } from '../engine/shared-redis/shared-redis.ts';
import { createAttemptTexts } from '../login/attempts/attempt.ts';
import { createPendingLogins } from '../login/attempts/pending-logins.ts';
import { createEnrolment } from '../login/factors/enrolment.ts';
import { createFactorStore } from '../login/factors/factor-store.ts';
import { createPasskeys } from '../login/factors/passkeys.ts';
import { createFactorPolicy } from '../login/factors/policy.ts';
import { createSecondFactor, type SecondFactorOptions } from '../login/factors/second-factor.ts';
import { createTotpEnrolment } from '../login/factors/totp-enrolment.ts';
import { writeKubeconfig } from '../login/kubeconfig.ts';
import type { FactorParts, LoginProvider, LoginService } from '../login/login-service.ts';
import { loadLogo } from '../login/logo.ts';
import {
  type CreateDependencies,
  closeMade,
  createTokenIssuer,
  issuesTokens,
} from './authenticators.ts';

interface LoginDependencies extends CreateDependencies {
  /** Gets each session that the login server ends. */
  readonly ended?: Pick<EndedSessions, 'add'>;
  readonly blocks: LoginService['blocks'];
}

interface LoginParts
  extends Pick<
    LoginService,
    'passwordLinks' | 'sessions' | 'texts' | 'findSessionUsers' | 'hold' | 'revocations'
  > {
  readonly providers: readonly LoginProvider[];
  /** The Redis that all replicas share. */
  readonly redis: ProbedRedis | undefined;
  /** The Redis of second factors. */
  readonly factorRedis: SharedRedis | undefined;
}

/**
 * Makes the parts of a generation for the login server.
 *
 * @returns the service; the files of CAs in kubeconfigs, and of the logo; and a function that closes the issuer
 * @throws Error when the issuer can't be made, or a CA or the logo can't be used; nothing is left open then
 */
export async function createLoginParts(
  config: GatewayConfig,
  login: LoginConfig,
  dependencies: LoginDependencies,
  { providers, redis, factorRedis, ...links }: LoginParts,
) {
  const { logger, ended, blocks } = dependencies;
  const issuing = config.authenticators
    .filter(issuesTokens)
    .find(({ name }) => name === login.sessions);
  if (issuing === undefined)
    throw new Error(`login.sessions: ${login.sessions} can't issue tokens`);
  const { kubeconfig, files } = await readAuthorities(login);
  const logo = login.logo === undefined ? undefined : await loadLogo(login.logo);
  const issuer = await createTokenIssuer(issuing, config.baseDirectory, dependencies);
  const factorPolicy = createFactorPolicy(login);
  const hasUids = (authenticator: string) =>
    links.passwordLinks.some(
      ({ name, hasUids: areListed }) => name === authenticator && areListed(),
    );
  const service: LoginService = {
    ...links,
    config: login,
    blocks,
    endLogins:
      redis &&
      ((args, signal) => endLogins(redis, args, { limit: config.server.reviewTimeout, signal })),
    proxies: createNetworks(login.trustedProxies),
    timeout: config.server.reviewTimeout,
    factorPolicy,
    factors: factorParts(login, { policy: factorPolicy, hasUids }, factorRedis, dependencies),
    issuer: ended ? noteEnded(issuer, ended) : issuer,
    browser:
      login.browser && redis
        ? {
            attempts: createAttemptTexts(redis.sealingKeys, Date.now, Object.keys(login.clusters)),
            pending: createPendingLogins(redis, Date.now),
            providers: new Map(providers.map((provider) => [provider.name, provider])),
          }
        : undefined,
    brand: () => ({ title: login.title ?? defaultTitle, logo: logo?.readUri() }),
    kubeconfig,
    describeProblem: (error) => issuing.withhold(describeCause(error)),
    logger,
  };
  return {
    service,
    files: logo === undefined ? files : [...files, logo.watched],
    close: () => closeMade('token issuer', issuer, issuing.name, logger),
  };
}

/** @returns undefined if the config has no second factors, or nothing is shared */
function factorParts(
  login: LoginConfig,
  { policy, hasUids }: Pick<SecondFactorOptions, 'policy' | 'hasUids'>,
  redis: SharedRedis | undefined,
  { attempts, logger }: LoginDependencies,
): FactorParts | undefined {
  if (login.secondFactor === undefined || redis === undefined) return undefined;
  const { publicUrl } = login;
  const { methods } = login.secondFactor;
  const now = Date.now;
  const store = createFactorStore(redis, now);
  const { hostname: issuer } = new URL(publicUrl);
  const enrolment = createEnrolment(store, now);
  return {
    secondFactor: createSecondFactor({ policy, methods, store, hasUids, attempts, now }),
    enrolment,
    apps: createTotpEnrolment({ enrolment, sealingKeys: redis.sealingKeys, issuer, now }),
    passkeys: createPasskeys({ publicUrl, store, logger, now }),
  };
}

/** Notes the sessions that the login server ends, in either of its two ways. */
function noteEnded(issuer: TokenIssuer, ended: Pick<EndedSessions, 'add'>): TokenIssuer {
  const erase = issuer.delete?.bind(issuer);
  return {
    create: (...args) => issuer.create(...args),
    list: (...args) => issuer.list(...args),
    async *revoke(...args) {
      for await (const revocation of issuer.revoke(...args)) {
        if (!('problem' in revocation)) ended.add(revocation.token.digest);
        yield revocation;
      }
    },
    ...(erase && {
      async delete(token, signal) {
        await erase(token, signal);
        ended.add(token.digest);
      },
    }),
    close: () => issuer.close(),
  };
}

/** Reads the CAs, and writes each kubeconfig only once for them, since any client can ask for one as often as it likes. */
async function readAuthorities(login: LoginConfig) {
  // The CAs are in a map by the names of their clusters. The CA of the login server has ''.
  const texts = new Map<string, string>();
  const sections = new Map<string, string>();
  const files: WatchedFile[] = [];
  const addFile = async (name: string, file: string | undefined, setting: string) => {
    if (file === undefined) return;
    const load = (content: Buffer) => {
      try {
        // Only the certificates are used: a file may contain a key too, and anyone can ask for a kubeconfig.
        texts.set(name, parseCertificates(content).join(''));
        sections.clear();
      } catch (error) {
        throw reworded(error, (message) => `${setting}: ${file} ${message}`);
      }
    };
    files.push(await loadWatchedFile(file, load, tlsFileLimit));
  };
  await addFile('', login.caFile, 'login.caFile');
  for (const [name, { caFile }] of Object.entries(login.clusters)) {
    await addFile(name, caFile, `login.clusters.${name}.caFile`);
  }
  const kubeconfig = (name: string): string | undefined => {
    const text =
      sections.get(name) ??
      writeKubeconfig(login, name, { login: texts.get(''), cluster: texts.get(name) });
    if (text !== undefined) sections.set(name, text);
    return text;
  };
  return { kubeconfig, files };
}
