import { createTokenFingerprint } from '../../audit/token-fingerprint.ts';
import { loadConfig } from '../../config/load.ts';
import { configFile } from '../config-file.ts';
import { type ExitCode, exitCodes } from '../exit-codes.ts';
import { readToken } from '../input.ts';

export interface FingerprintOptions {
  readonly config?: string;
}

/** Prints what stands for a token in the trail: under the key in use first, then under those that may have been. */
export async function fingerprint(options: FingerprintOptions): Promise<ExitCode> {
  const { file } = configFile(options.config);
  const { redis } = (await loadConfig(file, process.env)).cache;
  if (redis === undefined) {
    throw new Error(
      'without cache.redis.sealingKeys each process has a key of its own, which nobody knows: no fingerprint can be made',
    );
  }
  const token = await readToken();
  const all = redis.sealingKeys.map((key) => createTokenFingerprint(key)(token));
  process.stdout.write(`${all.join('\n')}\n`);
  return exitCodes.success;
}
