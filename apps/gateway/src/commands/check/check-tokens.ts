import { printable } from '../../base/logging/printable.ts';
import { describeCause } from '../../config/problems.ts';
import type { GatewayConfig } from '../../config/types.ts';
import type { CreatedAuthenticator } from '../../runtime/authenticators.ts';
import { type Findings, warning } from '../finding.ts';

/** The parts of a config that decide about tokens. */
export type CheckedParts = Pick<GatewayConfig, 'authenticators' | 'login' | 'server'>;

/** Checks which tokens an authenticator is asked about, and which it accepts. */
export function checkTokens(created: CreatedAuthenticator, config: CheckedParts): Findings {
  return [...checkAudiences(created, config), ...checkRecognition(created, config)];
}

const unknownAudiences = {
  reason:
    "kube-apiserver refuses a token that is valid for none of its own audiences, and check can't compare the two, since " +
    'server.apiAudiences is empty',
  fix: 'write the --api-audiences of kube-apiserver into server.apiAudiences, or without that flag its --service-account-issuer',
};

/** Warns of tokens that no API server accepts, since each is bound to other audiences than it has. */
function checkAudiences(
  { authenticator, config }: CreatedAuthenticator,
  { server, login }: CheckedParts,
): Findings {
  const clusters = Object.values(login?.clusters ?? {}).map(({ audience }) => audience);
  const accepted = new Set([...server.apiAudiences, ...clusters]);
  // People log in with these tokens, and no API server has to accept them.
  const clients = Object.values(login?.providers ?? {})
    .filter((provider) => provider.authenticator === config.name)
    .map(({ clientId }) => clientId);
  const [common] = server.apiAudiences;
  const describe = (audiences: readonly string[]) =>
    common === undefined
      ? unknownAudiences
      : {
          reason: `the API server refuses each of them, since it asks for ${[...accepted].join(', ')}`,
          fix: `add ${common} to their audiences${audiences.length === 0 ? '' : `, or ${audiences[0]} to server.apiAudiences and to --api-audiences of kube-apiserver`}`,
        };
  try {
    return [...(authenticator.tokenAudiences?.() ?? [])].flatMap(({ source, audiences }) => {
      if (audiences.some((audience) => accepted.has(audience) || clients.includes(audience)))
        return [];
      const { reason, fix } = describe(audiences);
      const detail = `the tokens of ${source} are valid only for the audiences ${audiences.join(', ') || 'none'}: ${reason}`;
      return warning('token-audiences', printable(config.withhold(detail)), fix);
    });
  } catch (error) {
    return [
      {
        result: 'error',
        detail: `tokenAudiences() failed: ${config.withhold(describeCause(error))}`,
      },
    ];
  }
}

/** Warns of a backend that gets the tokens of all others. One authenticator alone has no others. */
function checkRecognition(
  { authenticator, config }: CreatedAuthenticator,
  { authenticators }: CheckedParts,
): Findings {
  // Its look-ups cost nothing, so no token leaves the gateway.
  const isLocal = config.plugin.caching === 'none';
  if (authenticator.recognizes !== undefined || isLocal || authenticators.length < 2) return [];
  const detail =
    'the plugin has no recognizes(), so its backend gets each token that no authenticator before it has decided, including ' +
    'tokens and passwords of users of the others';
  const fix = 'use a plugin that recognizes its tokens, or trust its backend with all of them';
  return warning('unrecognized-tokens', detail, fix);
}
