import { hash } from 'node:crypto';
import { get } from 'node:http';
import { json } from 'node:stream/consumers';
import { z } from 'zod';
import type { ListenAddress } from '../../config/types.ts';

/** The path of the identity at `admin.listen`. */
export const identityPath = '/identity.json';

/** Maximum number of bytes of an identity. */
const maxLength = 4096;

const identitySchema = z.object({
  /** See {@link digestPath}. */
  config: z.string(),
  /** The addresses on which the process listens. */
  addresses: z.array(z.object({ host: z.string(), port: z.number() })),
});

/**
 * Identifies a running gateway for `sallyport check`, which must tell it from another process on its ports. Anyone who reaches
 * `admin.listen` can read it, so it has only what they can find out: open ports, and a digest.
 */
export type GatewayIdentity = z.output<typeof identitySchema>;

/** Returns the digest of the path of a config. @param file absolute */
export function digestPath(file: string): string {
  return hash('sha256', file, 'hex').slice(0, 12);
}

/** Asks the gateway that listens there. @returns undefined if none does, or one without an identity */
export async function askIdentity({
  host,
  port,
}: ListenAddress): Promise<GatewayIdentity | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  const signal = AbortSignal.timeout(2_000);
  // No proxy of the environment is used. A connection to 0.0.0.0 or :: reaches this machine.
  const request = get({ host, port, path: identityPath, agent: false, signal }, (answer) => {
    // Another process may listen there, and send without end.
    if (Number(answer.headers['content-length']) <= maxLength) json(answer).then(resolve, reject);
    else request.destroy(new Error('this is no identity'));
  }).on('error', reject);
  try {
    return identitySchema.safeParse(await promise).data;
  } catch {
    return undefined;
  }
}
