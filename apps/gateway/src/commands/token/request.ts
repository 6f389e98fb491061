import type { TokenRequest, UserInfo } from '@sallyport/authenticator';
import { parseDuration } from '@sallyport/plugin-options';
import { parseTime } from '../time-option.ts';
import { UsageError } from '../usage-error.ts';
import { refuseEmpty } from './empty-options.ts';
import { operatorName } from './operator.ts';

/** What `token create` is told of the token. */
export interface RequestOptions {
  readonly user: string;
  readonly ttl?: string;
  readonly uid?: string;
  readonly group?: readonly string[];
  readonly extra?: readonly string[];
  readonly audience?: readonly string[];
  readonly notBefore?: string;
  readonly reason?: string;
  readonly by?: string;
}

/** RFC 3339 has years of four digits. */
const lastMoment = Date.parse('9999-12-31T23:59:59Z');

/**
 * @param now milliseconds since 1970: `--ttl` counts from here
 * @throws UsageError
 */
export function readRequest(options: RequestOptions, now: number): TokenRequest {
  const { audience, reason, by = operatorName() } = options;
  refuseEmpty({
    '--user': options.user,
    '--uid': options.uid,
    '--group': options.group,
    '--audience': audience,
    '--reason': reason,
    '--by': by,
  });
  if (options.ttl === undefined) {
    throw new UsageError('--ttl is missing: write --ttl 8h, or --ttl never for a token without an end');
  }
  const expiresAt = readEnd(options.ttl, now);
  const notBefore = options.notBefore === undefined ? undefined : parseTime('--not-before', options.notBefore);
  if (notBefore !== undefined && expiresAt !== undefined && notBefore >= expiresAt) {
    throw new UsageError(
      `--not-before is not before the end of the token, ${expiresAt.toISOString()}: --ttl counts from now, so make it longer`,
    );
  }
  return {
    user: readUser(options),
    ...(audience && { audiences: [...new Set(audience)] }),
    ...(notBefore && { notBefore }),
    ...(expiresAt && { expiresAt }),
    issuedBy: by,
    ...(reason !== undefined && { reason }),
  };
}

/** @returns undefined for `never`. @throws UsageError */
export function readEnd(ttl: string, now: number): Date | undefined {
  if (ttl === 'never') return undefined;
  const parsed = parseDuration(ttl);
  if ('problem' in parsed) throw new UsageError(`--ttl: ${parsed.problem}: write --ttl 8h, 30d or never`);
  if (parsed.value === 0) throw new UsageError('--ttl must be longer than 0: write --ttl 8h, 30d or never');
  const end = now + parsed.value;
  if (end > lastMoment)
    throw new UsageError(`--ttl: "${ttl}" is too long: write --ttl never for a token without an end`);
  return new Date(end);
}

function readUser({ user, uid, group, extra }: RequestOptions): UserInfo {
  return {
    username: user,
    ...(uid !== undefined && { uid }),
    ...(group && { groups: [...new Set(group)] }),
    ...(extra && { extra: readExtra(extra) }),
  };
}

/** Values of one key are collected, in their order. Only the first `=` divides. */
function readExtra(pairs: readonly string[]): Readonly<Record<string, readonly string[]>> {
  const extra = new Map<string, string[]>();
  for (const pair of pairs) {
    const [, key, value] = /^([^=]+)=(.+)$/su.exec(pair) ?? [];
    if (key === undefined || value === undefined) {
      throw new UsageError(`--extra needs key=value, such as --extra team=build: "${pair}" is none`);
    }
    extra.set(key, [...(extra.get(key) ?? []), value]);
  }
  return Object.fromEntries(extra);
}
