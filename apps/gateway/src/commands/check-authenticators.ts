import type { UserInfo } from '@sallyport/authenticator';
import { pino } from 'pino';
import { checkInTime } from '../admin/health.ts';
import { type IdentityPrefixes, identityPolicy, identityPrefixes } from '../chain/identity-policy.ts';
import { causeOf, formatProblem } from '../config/problems.ts';
import type { AuthenticatorConfig, GatewayConfig } from '../config/types.ts';
import { printable } from '../logging/printable.ts';
import { missingForLogin } from '../runtime/assemble-login.ts';
import {
  type CreateDependencies,
  type CreatedAuthenticator,
  closeAuthenticator,
  createAuthenticator,
} from '../runtime/authenticators.ts';
import { localAttempts } from './cache-redis.ts';
import type { TrustedFile } from './check-files.ts';
import type { Finding } from './finding.ts';

/** How long one backend may take to answer, in milliseconds. */
const backendTimeout = 10_000;

/** How many names are listed at most of those that the policy refuses. */
const mostNames = 5;

export interface CheckedAuthenticators {
  readonly findings: readonly Finding[];
  /** The files that they read. */
  readonly files: readonly TrustedFile[];
}

interface CheckedAuthenticator extends CheckedAuthenticators {
  readonly name: string;
  /** Left out when the authenticator could not be created, or its tokens have none. */
  readonly tokenPrefix?: string;
}

/** Creates each authenticator and reaches its backend. They run at the same time: a backend that is down delays no other. */
export async function checkAuthenticators(
  config: Pick<GatewayConfig, 'authenticators' | 'baseDirectory' | 'lockout' | 'login'>,
): Promise<CheckedAuthenticators> {
  const logsIn = (name: string) => config.login?.authenticators.includes(name) === true;
  const prefixes = identityPrefixes(config.authenticators);
  const attempts = localAttempts(config);
  const checked = await Promise.all(
    config.authenticators.map((one) => checkAuthenticator(one, config.baseDirectory, { prefixes, attempts, logsIn })),
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

interface CheckSurroundings {
  readonly prefixes: IdentityPrefixes;
  readonly attempts: CreateDependencies['attempts'];
  /** Whether it is one of `login.authenticators`. */
  readonly logsIn: (name: string) => boolean;
}

async function checkAuthenticator(
  config: AuthenticatorConfig,
  baseDirectory: string,
  { prefixes, attempts, logsIn }: CheckSurroundings,
): Promise<CheckedAuthenticator> {
  const check = `authenticator ${config.name}`;
  const { logger, warnings } = collectWarnings(config);
  const unusable: unknown[] = [];
  const problems = (causes: readonly unknown[]): CheckedAuthenticator => ({
    name: config.name,
    findings: [
      ...warnings(),
      ...causes.map((cause): Finding => {
        const problem = config.problem(cause);
        return { check, result: 'fault', detail: formatProblem(problem), problem };
      }),
    ],
    files: [],
  });
  let created: CreatedAuthenticator;
  try {
    const onUnusableFile = (error: unknown) => unusable.push(error);
    created = await createAuthenticator(config, baseDirectory, { logger, attempts, onUnusableFile });
  } catch (error) {
    // The plugin did not get its file, so its own error says nothing new.
    return problems(unusable.length > 0 ? unusable : [error]);
  }
  try {
    if (unusable.length > 0) return problems(unusable);
    const ofMaking = warnings();
    const missing = logsIn(config.name) ? missingForLogin(created.authenticator) : undefined;
    if (missing !== undefined) return problems([new Error(missing)]);
    const reached = await reach(created);
    // A warning beside an error says no more than the error.
    const ofReaching = reached.result === 'ok' ? warnings() : [];
    const { tokenPrefix } = created.authenticator;
    return {
      name: config.name,
      ...(tokenPrefix === undefined ? {} : { tokenPrefix }),
      findings: [reached, ...ofMaking, ...ofReaching, ...judgeKnownUsers(created, prefixes)],
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
    return { check, result: 'fault', detail: `${config.package}: its backend can't be used: ${causeOf(error)}` };
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
    const detail = `${config.package}: knownUsers() failed: ${config.withhold(causeOf(error))}`;
    return [{ check, result: 'fault', detail }];
  }
  if (count === 0) return [];
  const more = count > refused.length ? `, and ${count - refused.length} more` : '';
  const detail =
    `${config.package}: the identity policy refuses ${count} of its users: ${config.withhold(refused.join('; ') + more)}. ` +
    `Correct their names, or list system: names in its allowSystemNames`;
  return [{ check, result: 'fault', detail }];
}

function describeBreach({ username }: UserInfo, { rule, name }: { rule: string; name?: string }): string {
  const who = name === undefined || name === username ? '' : ` (${printable(name)})`;
  return `${printable(username)}: ${rule}${who}`;
}

/** Collects the warnings that the plugin logs while it makes the authenticator; `serve` logs the same. */
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

/**
 * Describes each pair of authenticators whose tokens are taken for each other's, by what they begin with, and how to fix it.
 *
 * @param authenticators in the order they are asked; an empty prefix, or one that is not a text, means none
 */
export function sharedTokenPrefixes(
  authenticators: readonly { readonly name: string; readonly tokenPrefix?: unknown }[],
): string[] {
  const marked = authenticators.flatMap(({ name, tokenPrefix: prefix }) =>
    typeof prefix === 'string' && prefix !== '' ? [{ name, prefix }] : [],
  );
  const pairs = marked.flatMap((first, index) => marked.slice(index + 1).map((second) => [first, second] as const));
  return pairs.flatMap(([first, second]) => {
    if (!second.prefix.startsWith(first.prefix) && !first.prefix.startsWith(second.prefix)) return [];
    const prefixes =
      first.prefix === second.prefix
        ? `tokens of both begin with ${first.prefix}`
        : `their tokens begin with ${first.prefix} and ${second.prefix}, of which one begins with the other`;
    return [
      `${first.name} and ${second.name}: ${prefixes}, so a token of one is also sent to the other, a request for nothing; ` +
        `and when ${first.name} refuses tokens that it does not know, ${second.name} is never asked. ` +
        'Give them prefixes of their own',
    ];
  });
}
