import { loadConfig } from '../../config/load.ts';
import type { GatewayConfig } from '../../config/types.ts';
import { type Publication, publishAndConfirm } from '../../revocation/confirmation.ts';
import type { Draft } from '../../revocation/publish.ts';
import type { Listing } from '../../revocation/redis-list.ts';
import type { Entry } from '../../revocation/types.ts';
import type { ProbedRedis } from '../../shared-redis/shared-redis.ts';
import { configFile } from '../config-file.ts';
import type { OutputFormat } from '../output.ts';
import { requirePrefix } from '../prefixed-name.ts';
import { refuseEmpty } from '../token/empty-options.ts';
import { operatorName } from '../token/operator.ts';
import { createPatience } from '../token/patience.ts';
import { needCacheRedis } from './cache-redis.ts';
import { readWait } from './duration-option.ts';
import { refusePasswordToken } from './refuse-password-token.ts';
import { readSubject, readWhom, type Subject, type Whom, type WhomOptions } from './whom.ts';

/** Of every command that writes to the list. */
export interface StoppingOptions extends WhomOptions {
  readonly config?: string;
  /** The name is right, though it begins with no prefix. */
  readonly exact?: boolean;
  readonly reason?: string;
  readonly by?: string;
  readonly wait?: string;
  readonly output: OutputFormat;
}

/** What a command that writes to the list has found out before it does anything. */
export interface Prepared {
  readonly config: GatewayConfig;
  readonly subject: Subject;
  /** Of the entry: all but what is the command's own. */
  readonly record: Pick<Entry, 'kind' | 'name' | 'by' | 'reason'>;
  /** Milliseconds. */
  readonly wait: number;
}

/** @throws UsageError, ConfigError, Error when the config has no cache.redis and the command can do nothing without it */
export async function prepare(
  options: StoppingOptions,
  verb: Exclude<Entry['action'], 'unlock'>,
  kinds: readonly Whom['kind'][],
): Promise<Prepared> {
  const { reason, by = operatorName() } = options;
  const whom = readWhom(options, verb, kinds);
  refuseEmpty({ '--reason': reason, '--by': by });
  const wait = readWait(options.wait);
  const config = await loadConfig(configFile(options.config).file, process.env);
  if (verb !== 'revoke' || whom.kind === 'all') needCacheRedis(config, verb);
  if (whom.kind === 'user' || whom.kind === 'group') {
    requirePrefix(whom.kind, whom.name, config.authenticators, options.exact);
  }
  const subject = await readSubject(whom);
  // Whoever ends a block must be able to end each that there is.
  if (subject.token !== undefined && verb !== 'unblock') {
    await refusePasswordToken(config, subject.token, verb, options.config);
  }
  const { kind, name } = subject;
  return { config, subject, record: { kind, name, by, ...(reason !== undefined && { reason }) }, wait };
}

/** Ctrl-C ends the wait and not the command: it tells who has confirmed by then. */
export async function announceWithPatience(
  redis: ProbedRedis,
  draft: (listing: Listing) => Draft,
  wait: number,
): Promise<Publication> {
  using patience = createPatience();
  return await publishAndConfirm(redis, draft, { wait, signal: patience.signal });
}
