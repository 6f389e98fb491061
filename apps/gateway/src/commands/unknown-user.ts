import { pino } from 'pino';
import type { GatewayConfig } from '../config/types.ts';
import { withTimeLimit } from '../deadlines.ts';
import { printable } from '../logging/printable.ts';
import type { Draft } from '../revocation/publish.ts';
import type { CreatedAuthenticator } from '../runtime/authenticators.ts';
import { askEach } from './connections.ts';
import { printRemark } from './output.ts';
import { namingAuthenticators } from './user-names.ts';

/** Milliseconds that an authenticator may take, after all else is done. */
const longestLookUp = 2_000;

/**
 * Prints a remark when no authenticator knows the user of an entry, who may be mistyped. Nothing depends on it: where one of
 * them can't look users up, or its backend is away, it prints none.
 */
export async function remarkUnknownUser(config: GatewayConfig, { kind, name }: Pick<Draft, 'kind' | 'name'>) {
  if (kind !== 'user') return;
  const theirs = namingAuthenticators(config).filter(({ username: { prefix } }) => name.startsWith(prefix));
  const ask = (one: CreatedAuthenticator) => knows(one, name).catch(() => true);
  const answers = await askEach({ ...config, authenticators: theirs }, pino({ level: 'silent' }), ask, () => true);
  const doubt = `no authenticator of this config knows user ${printable(name)}: was the name mistyped?`;
  if (!answers.includes(true)) printRemark(`${doubt} It is done all the same`);
}

/** True also of one that can't look users up. @throws unknown when the backend can't be asked */
async function knows({ config, authenticator }: CreatedAuthenticator, name: string): Promise<boolean> {
  if (authenticator.lookUp === undefined) return true;
  const username = name.slice(config.username.prefix.length);
  const look = async (signal: AbortSignal) => authenticator.lookUp?.(username, { signal });
  return (await withTimeLimit(longestLookUp, 'no answer in time', look)) !== undefined;
}
