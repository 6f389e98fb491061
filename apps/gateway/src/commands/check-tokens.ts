import { causeOf } from '../config/problems.ts';
import type { AuthenticatorConfig, GatewayConfig } from '../config/types.ts';
import { printable } from '../logging/printable.ts';
import type { CreatedAuthenticator } from '../runtime/authenticators.ts';
import type { Finding } from './check-files.ts';

export interface CheckedConfig
  extends Pick<GatewayConfig, 'authenticators' | 'baseDirectory' | 'lockout' | 'login' | 'server'> {
  /** False: parts with errors are left out of it. */
  readonly isWhole: boolean;
}

export function finding(of: AuthenticatorConfig, result: Finding['result'], detail: string): Finding {
  return { check: `authenticator ${of.name}`, result, detail: `${of.package}: ${detail}` };
}

/** Judges which tokens an authenticator is asked about, and which it accepts. A config with parts left out shows neither. */
export function judgeTokens(created: CreatedAuthenticator, config: CheckedConfig): readonly Finding[] {
  return config.isWhole ? [...judgeAudiences(created, config), ...judgeRecognition(created, config)] : [];
}

const compare =
  'kube-apiserver refuses a token that is good for none of its own, and check can not compare: server.apiAudiences is empty. ' +
  'Write its --api-audiences there, or without that flag its --service-account-issuer';

/** Warns of tokens that no API server accepts, since each is bound to other audiences than it has. */
function judgeAudiences({ authenticator, config }: CreatedAuthenticator, { server, login }: CheckedConfig): Finding[] {
  const clusters = Object.values(login?.clusters ?? {}).map(({ audience }) => audience);
  const own = new Set([...server.apiAudiences, ...clusters]);
  const why =
    own.size === 0
      ? compare
      : `the API server refuses each of them, since it asks for ${[...own].join(', ')}. Correct the audiences`;
  try {
    return [...(authenticator.tokenAudiences?.() ?? [])].flatMap(({ source, audiences }) => {
      if (audiences.some((one) => own.has(one))) return [];
      const detail = `the tokens of ${source} are good for the audiences ${audiences.join(', ') || 'none'} alone: ${why}`;
      return [finding(config, 'warning', printable(config.withhold(detail)))];
    });
  } catch (error) {
    return [finding(config, 'fault', `tokenAudiences() failed: ${config.withhold(causeOf(error))}`)];
  }
}

/** Warns of a backend that gets the tokens of all others. One authenticator alone has no others. */
function judgeRecognition(
  { authenticator, config }: CreatedAuthenticator,
  { authenticators }: CheckedConfig,
): Finding[] {
  // Its look-ups cost nothing, so no token leaves the gateway.
  const isLocal = config.plugin.caching === 'none';
  if (authenticator.recognizes !== undefined || isLocal || authenticators.length < 2) return [];
  const detail =
    'the plugin has no recognizes(), so its backend gets each token that no authenticator before it has decided: also tokens ' +
    'and passwords of users of the others. Use a plugin that recognizes its tokens, or trust its backend with all of them';
  return [finding(config, 'warning', detail)];
}
