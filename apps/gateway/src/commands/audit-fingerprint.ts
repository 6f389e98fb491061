import { createTokenFingerprint } from '../audit/entry.ts';
import { loadNamedConfig } from './config-file.ts';
import { type ExitCode, exitCodes } from './exit-codes.ts';
import { readToken } from './input.ts';

export interface FingerprintOptions {
  readonly config?: string;
}

/** Prints the fingerprint of a token in the trail: with the key in use first, then with those that may have been in use. */
export async function fingerprint(options: FingerprintOptions): Promise<ExitCode> {
  const { redis } = (await loadNamedConfig(options)).cache;
  if (redis === undefined) {
    throw new Error(
      'no fingerprint can be made: without cache.redis.sealingKeys each process has a random key of its own',
    );
  }
  const token = await readToken();
  const all = redis.sealingKeys.map((key) => createTokenFingerprint(key)(token));
  process.stdout.write(`${all.join('\n')}\n`);
  return exitCodes.success;
}
