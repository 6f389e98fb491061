import type { Authenticator } from '@sallyport/authenticator';
import type { GatewayConfig } from '../../config/types.ts';
import type { ReviewResult } from '../../review/token-review.ts';
import type { CreatedAuthenticator } from '../../runtime/authenticators.ts';
import { findWrapping } from '../read-token.ts';

type NamedAuthenticator = Pick<CreatedAuthenticator, 'authenticator'> & {
  readonly config: { readonly name: string };
};

/** How many characters of what a plugin says are shown. */
const maxLength = 500;

/** Says why an authenticator does not recognize a token, as far as its plugin knows. A plugin may throw, or return anything. */
export function whyUnrecognized(
  plugin: Pick<Authenticator, 'whyUnrecognized' | 'tokenPrefix'>,
  token: string,
): string {
  const { tokenPrefix: prefix } = plugin;
  const wrapping = findWrapping(token);
  if (wrapping !== undefined) return `the token ${wrapping.problem}: ${wrapping.fix}`;
  const hasPrefix = (text: string) =>
    typeof prefix === 'string' && prefix !== '' && text.startsWith(prefix);
  const decoded = Buffer.from(token, 'base64').toString();
  if (hasPrefix(decoded) || decoded.startsWith('eyJ'))
    return 'the token is base64 of a token, as in a Secret: decode it first, with base64 -d';
  try {
    const clue: unknown = plugin.whyUnrecognized?.(token);
    if (typeof clue === 'string' && clue !== '') return `the token ${clue.slice(0, maxLength)}`;
  } catch {
    // Its message may have the token in it.
  }
  if (hasPrefix(token)) {
    return `the token begins with ${prefix} as its tokens do, but does not have their shape: is it whole?`;
  }
  return 'not the shape of its tokens';
}

/**
 * The audiences that `explain` asks for where the command line names none. A session is for one cluster, whose kube-apiserver asks
 * for its own audience, so it is asked for the audiences of all clusters. Empty: the API server's own.
 */
export function audiencesFor(
  token: string,
  { login, server }: Pick<GatewayConfig, 'login' | 'server'>,
  created: readonly NamedAuthenticator[],
): readonly string[] {
  const clusters = Object.values(login?.clusters ?? {}).map(({ audience }) => audience);
  const sessionAuthenticator = created.find(
    ({ config }) => config.name === login?.sessions,
  )?.authenticator;
  if (clusters.length === 0 || sessionAuthenticator?.recognizes?.(token) !== true) return [];
  return [...new Set([...clusters, ...server.apiAudiences])];
}

/** Names the cluster whose audience was found in that way. */
export function clusterNote(
  result: ReviewResult,
  { login }: Pick<GatewayConfig, 'login'>,
): string | undefined {
  const audiences = result.kind === 'authenticated' ? (result.audiences ?? []) : [];
  const clusterEntry = Object.entries(login?.clusters ?? {}).find(([, { audience }]) =>
    audiences.includes(audience),
  );
  if (clusterEntry === undefined) return undefined;
  const [cluster, { audience }] = clusterEntry;
  return `it is a session for the cluster ${cluster}: asked for its audience, ${audience}, since --audience was left out. An API server that does not ask for it refuses this token, and the log has that as audience-mismatch`;
}
