import { nearest } from '../../config/nearest.ts';
import type { GatewayConfig } from '../../config/types.ts';
import { type IssuingAuthenticator, issuesTokens } from '../../runtime/authenticators.ts';
import { UsageError } from '../usage-error.ts';

export interface ChosenIssuer {
  readonly authenticator: IssuingAuthenticator;
  /** Others issue tokens too: it has to be named. */
  readonly isOneOfSeveral: boolean;
}

/**
 * The authenticator whose tokens a command is about.
 *
 * @param named what `--authenticator` says; not needed where just one issues tokens
 * @throws UsageError when it names nobody, or is needed
 * @throws Error when the one that is meant issues no tokens
 */
export function chooseIssuer(
  config: Pick<GatewayConfig, 'file' | 'authenticators'>,
  named: string | undefined,
): ChosenIssuer {
  const issuing = config.authenticators.filter(issuesTokens);
  if (named !== undefined) {
    return { authenticator: find(named, config, issuing), isOneOfSeveral: issuing.length > 1 };
  }
  const [first, ...others] = issuing;
  if (first === undefined) {
    const all = config.authenticators.map((one) => `${one.name} (${one.package})`);
    throw new Error(`no authenticator of ${config.file} issues tokens; it has ${all.join(', ')}`);
  }
  if (others.length > 0) {
    throw new UsageError(`several authenticators issue tokens: write --authenticator ${namesOf(issuing).join(' or ')}`);
  }
  return { authenticator: first, isOneOfSeveral: false };
}

function find(
  named: string,
  { file, authenticators }: Pick<GatewayConfig, 'file' | 'authenticators'>,
  issuing: readonly IssuingAuthenticator[],
): IssuingAuthenticator {
  const found = issuing.find(({ name }) => name === named);
  if (found !== undefined) return found;
  const other = authenticators.find(({ name }) => name === named);
  if (other !== undefined) {
    const able = issuing.length === 0 ? 'none in the config does' : `those that do: ${namesOf(issuing).join(', ')}`;
    throw new Error(`authenticator ${named} (${other.package}) issues no tokens; ${able}`);
  }
  const all = namesOf(authenticators);
  const near = nearest(named, all);
  const guess = near === undefined ? '' : ` Did you mean ${near}?`;
  throw new UsageError(`--authenticator: "${named}" is not in ${file}, which has ${all.join(', ')}.${guess}`);
}

function namesOf(authenticators: readonly { readonly name: string }[]): string[] {
  return authenticators.map(({ name }) => name);
}
