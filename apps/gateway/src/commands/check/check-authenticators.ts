import type { DirectoryUse } from '@sallyport/authenticator';
import { pino } from 'pino';
import { withTimeLimit } from '../../base/deadlines.ts';
import { causeOf, placed } from '../../config/problems.ts';
import type { AuthenticatorConfig, GatewayConfig } from '../../config/types.ts';
import { checkInTime, noAnswerWithin } from '../../observe/health.ts';
import { missingForLogin } from '../../runtime/assemble-login.ts';
import {
  type CreatedAuthenticator,
  closeAuthenticator,
  closeMade,
  createAuthenticator,
  createTokenIssuer,
  issuesTokens,
} from '../../runtime/authenticators.ts';
import { joinAttempts } from '../connections.ts';
import { detailOf, type Finding } from '../finding.ts';
import { checkDirectoryAbility, checkLookedUpBy, directoryUse } from './check-directories.ts';
import { checkKnownUsers } from './check-known-users.ts';
import { checkProviders } from './check-providers.ts';
import { checkSecondFactor } from './check-second-factor.ts';
import { checkSharedNames } from './check-shared-names.ts';
import { sharedTokenPrefixes, sharedTokenStores } from './check-shared-tokens.ts';
import { checkTokens } from './check-tokens.ts';

/** Milliseconds that a backend may take to answer. */
const answerLimit = 10_000;

type CheckedConfig = Pick<
  GatewayConfig,
  'authenticators' | 'baseDirectory' | 'lockout' | 'login' | 'provenance' | 'server'
>;

/** Creates each authenticator and reaches its backend. They run at the same time: a backend that is down delays no other. */
export async function checkAuthenticators(config: CheckedConfig) {
  const checked = await Promise.all(
    config.authenticators.map((one) => checkAuthenticator(one, config)),
  );
  const made = checked.flatMap(({ authenticator }, index) => {
    const one = config.authenticators[index];
    return one && authenticator ? [{ config: one, authenticator }] : [];
  });
  const shared = sharedTokenPrefixes(checked);
  const stored = config.authenticators.map((one, index) => {
    const { file, line } = one.problem(undefined);
    return {
      name: one.name,
      place: `${file}:${line}`,
      tokenStore: checked[index]?.authenticator?.tokenStore,
    };
  });
  return {
    findings: [
      ...checked.flatMap(({ findings }) => findings),
      ...shared.map(
        (words): Finding => ({ check: 'token prefixes', result: 'warning', ...detailOf(words) }),
      ),
      ...sharedTokenStores(stored).map(
        (words): Finding => ({ check: 'token stores', result: 'warning', ...detailOf(words) }),
      ),
      ...checkSharedNames(checked, config),
      ...checkDirectoryAbility(made),
      ...(await checkProviders(config, made)),
      ...checkSecondFactor(config, made),
    ],
    /** The files that the plugins read. */
    files: checked.flatMap(({ files }) => files),
  };
}

async function checkAuthenticator(config: AuthenticatorConfig, all: CheckedConfig) {
  const { name } = config;
  const { logger, logged, warnings } = collectWarnings(config);
  const unusable: unknown[] = [];
  const problems = (...causes: readonly unknown[]) => {
    const errors = causes.map((cause) => errorOf(config, cause));
    // Without its file, an attempt to reach the backend says nothing new.
    const findings = [...warnings(() => unusable.length > 0), ...errors];
    return { name, authenticator: undefined, tokenPrefix: undefined, findings, files: [] };
  };
  let created: CreatedAuthenticator;
  try {
    const onUnusableFile = (error: unknown) => unusable.push(error);
    const { attempts } = joinAttempts(all);
    created = await createAuthenticator(config, all.baseDirectory, {
      logger,
      attempts,
      onUnusableFile,
    });
  } catch (error) {
    // The plugin did not get its file, so its own error says nothing new.
    return problems(...(unusable.length > 0 ? unusable : [error]));
  }
  const { authenticator, files } = created;
  try {
    if (unusable.length > 0) return problems(...unusable);
    const ofAuthenticator = (found: readonly Pick<Finding, 'result' | 'detail' | 'fix'>[]) =>
      found.map(({ result, detail, fix }) => finding(config, result, detail, fix));
    const made = logged();
    const reached = await reach(created, directoryUse(config, all.authenticators));
    const failed = reached.find(({ result }) => result === 'error');
    // A warning that comes with an error says no more than the error. Nor does the issuer, which has the same backend.
    const ofLog =
      failed === undefined
        ? warnings()
        : warnings((problem) => failed.detail.includes(problem), made);
    const ofIssuer = failed === undefined ? await checkIssuer(config, all) : [];
    return {
      name,
      authenticator,
      tokenPrefix: authenticator.tokenPrefix,
      findings: [
        ...checkLoginAbility(created, all),
        ...reached,
        ...ofLog,
        ...ofAuthenticator(checkTokens(created, all)),
        ...ofIssuer,
        ...ofAuthenticator(checkKnownUsers(created, all)),
        ...ofAuthenticator(checkLookedUpBy(created)),
      ],
      files,
    };
  } finally {
    await closeAuthenticator(created, logger);
  }
}

function finding(
  of: AuthenticatorConfig,
  result: Finding['result'],
  detail: string,
  fix?: string,
): Finding {
  return { check: `authenticator ${of.name}`, result, detail: `${of.package}: ${detail}`, fix };
}

/** Finds an authenticator of `login.authenticators` that can't log people in. */
function checkLoginAbility(
  { authenticator, config }: CreatedAuthenticator,
  { login }: CheckedConfig,
): Finding[] {
  const missing = login?.authenticators.includes(config.name)
    ? missingForLogin(authenticator)
    : undefined;
  if (missing === undefined) return [];
  const problem = config.loginProblem(missing);
  return [{ check: 'login', result: 'error', ...detailOf(placed(problem)), problem }];
}

/** Returns an error at the place of the authenticator in the config. */
function errorOf(config: AuthenticatorConfig, cause: unknown, failure?: string): Finding {
  const problem = config.problem(cause, failure);
  return {
    check: `authenticator ${config.name}`,
    result: 'error',
    ...detailOf(placed(problem)),
    problem,
  };
}

/** Reaches the backend. @returns one finding, or one for each warning */
async function reach(
  { authenticator, config }: CreatedAuthenticator,
  use: DirectoryUse,
): Promise<readonly Finding[]> {
  try {
    const warnings = await checkInTime(authenticator, answerLimit, use);
    if (warnings.length > 0) {
      return warnings.map((one) =>
        finding(config, 'warning', config.withhold(`its backend works, but: ${one}`)),
      );
    }
  } catch (error) {
    return [errorOf(config, error, "can't use its backend")];
  }
  const hasBackend = authenticator.check !== undefined;
  return [
    finding(
      config,
      'ok',
      hasBackend ? 'ready, and its backend answers' : 'ready; it has no backend to reach',
    ),
  ];
}

/** Tries what `token create`, `token list` and `revoke` do, and what a login does with its sessions. */
async function checkIssuer(
  config: AuthenticatorConfig,
  all: CheckedConfig,
): Promise<readonly Finding[]> {
  if (!issuesTokens(config)) return [];
  const logger = pino({ level: 'silent' });
  const sessions = all.login?.sessions === config.name;
  const failure = `not every command and request for its ${sessions ? 'sessions' : 'tokens'} works`;
  try {
    const { attempts } = joinAttempts(all);
    const issuer = await createTokenIssuer(config, all.baseDirectory, { logger, attempts });
    try {
      const look = (signal: AbortSignal) => issuer.check?.({ sessions }, signal);
      const warnings = (await withTimeLimit(answerLimit, noAnswerWithin(answerLimit), look)) ?? [];
      return warnings.map((warning) => finding(config, 'warning', config.withhold(warning)));
    } finally {
      await closeMade('token issuer', issuer, config.name, logger);
    }
  } catch (error) {
    return [finding(config, 'error', config.withhold(`${failure}: ${causeOf(error)}`))];
  }
}

/**
 * Collects the warnings that the plugin logs while it makes the authenticator; `serve` logs the same.
 *
 * @returns `warnings` takes those that are collected so far, or the first `count` of them, without those whose `problem`
 * is reported already
 */
function collectWarnings(config: AuthenticatorConfig) {
  const lines: string[] = [];
  const options = { level: 'warn', base: null, timestamp: false };
  const logger = pino(options, { write: (line: string) => lines.push(line) });
  const toFinding = (line: string) => {
    const { msg, level: _level, authenticator: _name, ...fields } = JSON.parse(line);
    const details = Object.entries(fields).map(([key, value]) => {
      return `${key}: ${typeof value === 'string' ? value : JSON.stringify(value)}`;
    });
    return finding(
      config,
      'warning',
      config.withhold(details.length === 0 ? msg : `${msg} (${details.join('; ')})`),
    );
  };
  return {
    logger,
    logged: () => lines.length,
    warnings(isSaid: (problem: string) => boolean = () => false, count = lines.length) {
      const first = lines.splice(0).slice(0, count);
      const isNew = (line: string) => {
        const { problem } = JSON.parse(line);
        return typeof problem !== 'string' || !isSaid(problem);
      };
      return first.filter(isNew).map(toFinding);
    },
  };
}
