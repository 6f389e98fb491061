import type { Authenticator, DirectoryUse } from '@sallyport/authenticator';
import { pino } from 'pino';
import { withTimeLimit } from '../../base/deadlines.ts';
import { describeCause } from '../../config/problems.ts';
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
import { type Finding, type Findings, ok, toPlacedError, warning } from '../finding.ts';
import type { TrustedFile } from '../permissions.ts';
import { checkLookedUpBy, directoryUse } from './check-directories.ts';
import { checkKnownUsers } from './check-known-users.ts';
import { checkTokens } from './check-tokens.ts';

/** Milliseconds that a backend may take to answer. */
const answerLimit = 10_000;

type CheckedConfig = Pick<
  GatewayConfig,
  'authenticators' | 'baseDirectory' | 'lockout' | 'login' | 'provenance' | 'server'
>;

/** A TriedAuthenticator was made, its backend was reached, and it was closed again. */
export interface TriedAuthenticator {
  readonly config: AuthenticatorConfig;
  /** Undefined if it could not be made, which is one of its findings. */
  readonly authenticator: Authenticator | undefined;
  readonly findings: Findings;
  /** The files that its plugin reads. */
  readonly files: readonly TrustedFile[];
}

/** Creates each authenticator and reaches its backend. They run at the same time: a backend that is down delays no other. */
export function tryAuthenticators(config: CheckedConfig): Promise<readonly TriedAuthenticator[]> {
  return Promise.all(config.authenticators.map((link) => tryAuthenticator(link, config)));
}

async function tryAuthenticator(
  config: AuthenticatorConfig,
  gatewayConfig: CheckedConfig,
): Promise<TriedAuthenticator> {
  const { logger, logged, warnings } = collectWarnings(config);
  const unusable: unknown[] = [];
  const problems = (...causes: readonly unknown[]) => {
    const errors = causes.map((cause) => toPlacedError(config.problem(cause)));
    // Without its file, an attempt to reach the backend says nothing new.
    const findings = [...warnings(() => unusable.length > 0), ...errors];
    return { config, authenticator: undefined, findings: namePackage(config, findings), files: [] };
  };
  let created: CreatedAuthenticator;
  try {
    const onUnusableFile = (error: unknown) => unusable.push(error);
    const { attempts } = joinAttempts(gatewayConfig);
    created = await createAuthenticator(config, gatewayConfig.baseDirectory, {
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
    const loggedWhenCreated = logged();
    const reached = await reach(created, directoryUse(config, gatewayConfig.authenticators));
    const failed = reached.find(({ result }) => result === 'error');
    // A warning that comes with an error says no more than the error. Nor does the issuer, which has the same backend.
    const logFindings =
      failed === undefined
        ? warnings()
        : warnings((problem) => failed.detail.includes(problem), loggedWhenCreated);
    const issuerFindings = failed === undefined ? await checkIssuer(config, gatewayConfig) : [];
    const findings = [
      ...checkLoginAbility(created, gatewayConfig),
      ...reached,
      ...logFindings,
      ...checkTokens(created, gatewayConfig),
      ...issuerFindings,
      ...checkKnownUsers(created, gatewayConfig),
      ...checkLookedUpBy(created),
    ];
    return { config, authenticator, findings: namePackage(config, findings), files };
  } finally {
    await closeAuthenticator(created, logger);
  }
}

/** Names the authenticator and its package in findings that have no place in the config. */
function namePackage(config: AuthenticatorConfig, findings: Findings): Finding[] {
  const check = `authenticator ${config.name}`;
  return findings.map((finding) =>
    finding.problem
      ? { check, ...finding }
      : { ...finding, check, detail: `${config.package}: ${finding.detail}` },
  );
}

/** Finds an authenticator of `login.authenticators` that can't log people in. */
function checkLoginAbility(
  { authenticator, config }: CreatedAuthenticator,
  { login }: CheckedConfig,
): Finding[] {
  const missingAbility = login?.authenticators.includes(config.name)
    ? missingForLogin(authenticator)
    : undefined;
  if (missingAbility === undefined) return [];
  return [{ check: 'login', ...toPlacedError(config.loginProblem(missingAbility)) }];
}

/** Reaches the backend. @returns one finding, or one for each warning */
async function reach(
  { authenticator, config }: CreatedAuthenticator,
  use: DirectoryUse,
): Promise<Findings> {
  try {
    const texts = await checkInTime(authenticator, answerLimit, use);
    if (texts.length > 0)
      return texts.flatMap((text) =>
        warning('backend', config.withhold(`its backend works, but: ${text}`)),
      );
  } catch (error) {
    return [toPlacedError(config.problem(error, "can't use its backend"))];
  }
  const hasBackend = authenticator.check !== undefined;
  return ok(hasBackend ? 'ready, and its backend answers' : 'ready; it has no backend to reach');
}

/** Tries what `token create`, `token list` and `revoke` do, and what a login does with its sessions. */
async function checkIssuer(
  config: AuthenticatorConfig,
  gatewayConfig: CheckedConfig,
): Promise<Findings> {
  if (!issuesTokens(config)) return [];
  const logger = pino({ level: 'silent' });
  const sessions = gatewayConfig.login?.sessions === config.name;
  const failure = `not every command and request for its ${sessions ? 'sessions' : 'tokens'} works`;
  try {
    const { attempts } = joinAttempts(gatewayConfig);
    const issuer = await createTokenIssuer(config, gatewayConfig.baseDirectory, {
      logger,
      attempts,
    });
    try {
      const look = (signal: AbortSignal) => issuer.check?.({ sessions }, signal);
      const texts = (await withTimeLimit(answerLimit, noAnswerWithin(answerLimit), look)) ?? [];
      return texts.flatMap((text) => warning('token-commands', config.withhold(text)));
    } finally {
      await closeMade('token issuer', issuer, config.name, logger);
    }
  } catch (error) {
    return [{ result: 'error', detail: config.withhold(`${failure}: ${describeCause(error)}`) }];
  }
}

/**
 * Collects the warnings that the plugin logs while it makes the authenticator; `serve` logs the same.
 *
 * @returns `warnings` takes the warnings that are collected so far, or the first `count` of them, without each whose `problem`
 * is reported already
 */
function collectWarnings(config: AuthenticatorConfig) {
  const lines: string[] = [];
  const options = { level: 'warn', base: null, timestamp: false };
  const logger = pino(options, { write: (line: string) => lines.push(line) });
  const toFindings = (line: string) => {
    const { msg, level: _level, authenticator: _name, ...fields } = JSON.parse(line);
    const details = Object.entries(fields).map(([key, value]) => {
      return `${key}: ${typeof value === 'string' ? value : JSON.stringify(value)}`;
    });
    return warning(
      'plugin',
      config.withhold(details.length === 0 ? msg : `${msg} (${details.join('; ')})`),
    );
  };
  return {
    logger,
    logged: () => lines.length,
    warnings(isReported: (problem: string) => boolean = () => false, count = lines.length) {
      const warningLines = lines.splice(0).slice(0, count);
      const isNew = (line: string) => {
        const { problem } = JSON.parse(line);
        return typeof problem !== 'string' || !isReported(problem);
      };
      return warningLines.filter(isNew).flatMap(toFindings);
    },
  };
}
