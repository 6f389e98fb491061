import type { UserInfo } from '@sallyport/authenticator';
import { pino } from 'pino';
import { checkInTime } from '../admin/health.ts';
import { type IdentityPrefixes, identityPolicy, identityPrefixes } from '../chain/identity-policy.ts';
import { causeOf, formatProblem } from '../config/problems.ts';
import type { AuthenticatorConfig, ConfigProblem, GatewayConfig } from '../config/types.ts';
import { createAttempts } from '../lockout/attempts.ts';
import { printable } from '../logging/printable.ts';
import {
  type CreateDependencies,
  type CreatedAuthenticator,
  closeAuthenticator,
  createAuthenticator,
} from '../runtime/authenticators.ts';
import type { TrustedFile } from './check-permissions.ts';
import { type Finding, fault } from './finding.ts';
import { sharedTokenPrefixes } from './token-prefixes.ts';

/** How long one backend may take to answer, in milliseconds. */
const backendTimeout = 10_000;

/** How many of the names that the policy refuses are listed. */
const mostNames = 5;

export interface CheckedAuthenticators {
  readonly findings: readonly Finding[];
  /** What they read. */
  readonly files: readonly TrustedFile[];
}

interface CheckedAuthenticator extends CheckedAuthenticators {
  readonly name: string;
  /** Left out: it could not be made, or its tokens have none. */
  readonly tokenPrefix?: string;
}

/** Makes each authenticator and reaches its backend. All at once: a backend that is down costs its own time only. */
export async function checkAuthenticators(
  config: Pick<GatewayConfig, 'authenticators' | 'baseDirectory' | 'lockout'>,
): Promise<CheckedAuthenticators> {
  const prefixes = identityPrefixes(config.authenticators);
  const attempts = createAttempts(() => config.lockout, { now: () => performance.now() });
  const checked = await Promise.all(
    config.authenticators.map((one) => checkAuthenticator(one, config.baseDirectory, prefixes, attempts)),
  );
  const shared = sharedTokenPrefixes(checked);
  return {
    findings: [
      ...checked.flatMap(({ findings }) => findings),
      ...shared.map((detail): Finding => ({ check: 'token prefixes', result: 'warning', detail })),
    ],
    files: checked.flatMap(({ files }) => files),
  };
}

async function checkAuthenticator(
  config: AuthenticatorConfig,
  baseDirectory: string,
  prefixes: IdentityPrefixes,
  attempts: CreateDependencies['attempts'],
): Promise<CheckedAuthenticator> {
  const check = `authenticator ${config.name}`;
  const { logger, warnings } = collectWarnings(config);
  const unusable: unknown[] = [];
  const problems = (causes: readonly unknown[]): CheckedAuthenticator => ({
    name: config.name,
    findings: [...warnings(), ...causes.map((cause) => problemFound(check, config.problem(cause)))],
    files: [],
  });
  let created: CreatedAuthenticator;
  try {
    const onUnusableFile = (error: unknown) => unusable.push(error);
    created = await createAuthenticator(config, baseDirectory, { logger, attempts, onUnusableFile });
  } catch (error) {
    // The plugin never got its file: what it throws then says nothing new.
    return problems(unusable.length > 0 ? unusable : [error]);
  }
  try {
    if (unusable.length > 0) return problems(unusable);
    // Before the backend is asked: what is logged then says no more than the finding.
    const ofMaking = warnings();
    const { tokenPrefix } = created.authenticator;
    return {
      name: config.name,
      ...(tokenPrefix === undefined ? {} : { tokenPrefix }),
      findings: [await reach(created), ...ofMaking, ...judgeKnownUsers(created, prefixes)],
      files: created.files.map(({ file, secret = false }) => ({ file, secret })),
    };
  } finally {
    await closeAuthenticator(created, logger);
  }
}

async function reach({ authenticator, config }: CreatedAuthenticator): Promise<Finding> {
  const check = `authenticator ${config.name}`;
  try {
    await checkInTime(authenticator, backendTimeout);
  } catch (error) {
    return fault(check, `${config.package}: its backend can't be used: ${causeOf(error)}`);
  }
  const reached =
    authenticator.check === undefined ? 'ready; it has no backend to reach' : 'ready, and its backend answers';
  return { check, result: 'ok', detail: `${config.package}: ${reached}` };
}

/** The identity policy must accept each user that the plugin names without a backend, or that user's token never works. */
function judgeKnownUsers({ authenticator, config }: CreatedAuthenticator, prefixes: IdentityPrefixes): Finding[] {
  const check = `authenticator ${config.name}`;
  const judge = identityPolicy(config, prefixes);
  const refused: string[] = [];
  let count = 0;
  try {
    for (const user of authenticator.knownUsers?.() ?? []) {
      const { breach } = judge(user);
      if (breach === undefined) continue;
      count += 1;
      if (refused.length < mostNames) refused.push(describeBreach(user, breach));
    }
  } catch (error) {
    return [fault(check, `${config.package}: knownUsers() failed: ${config.withhold(causeOf(error))}`)];
  }
  if (count === 0) return [];
  const more = count > refused.length ? `, and ${count - refused.length} more` : '';
  const listed = config.withhold(`${refused.join('; ')}${more}`);
  return [
    fault(
      check,
      `${config.package}: the identity policy refuses ${count} of its users: ${listed}. Correct their names, ` +
        `or list system: names in its allowSystemNames`,
    ),
  ];
}

function describeBreach({ username }: UserInfo, { rule, name }: { rule: string; name?: string }): string {
  const who = name === undefined || name === username ? '' : ` (${printable(name)})`;
  return `${printable(username)}: ${rule}${who}`;
}

/** Collects what the plugin warns of while it makes the authenticator; `serve` logs the same. */
function collectWarnings(config: AuthenticatorConfig): { logger: CreateDependencies['logger']; warnings(): Finding[] } {
  const lines: string[] = [];
  const options = { level: 'warn', base: null, timestamp: false };
  const logger = pino(options, { write: (line: string) => lines.push(line) });
  const toFinding = (line: string): Finding => {
    const { msg, level: _level, authenticator: _name, ...fields } = JSON.parse(line);
    const details = Object.entries(fields).map(([key, value]) => `${key}: ${toText(value)}`);
    const detail = config.withhold(details.length === 0 ? msg : `${msg} (${details.join('; ')})`);
    return { check: `authenticator ${config.name}`, result: 'warning', detail: `${config.package}: ${detail}` };
  };
  return { logger, warnings: () => lines.splice(0).map(toFinding) };
}

function toText(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

export function problemFound(name: string, problem: ConfigProblem): Finding {
  return { ...fault(name, formatProblem(problem)), problem };
}
