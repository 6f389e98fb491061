import type { GatewayConfig } from '../../config/types.ts';
import { type Findings, warning } from '../finding.ts';

/** Matches the domains that no one has (RFC 2606), and hosts below them. */
const ofExamples = /(?<![\w-])example\.(com|net|org)(?![\w.-])/i;

type NamingConfig = Pick<GatewayConfig, 'login' | 'provenance'> & {
  readonly server: Pick<GatewayConfig['server'], 'apiAudiences'>;
};

/**
 * Warns of names of the examples that are still in the config, and that nothing else would find: no one connects to them here. The hosts of
 * backends are not among them, since their authenticators can't be reached then.
 */
export function checkExamples({ server, login, provenance }: NamingConfig): Findings {
  const clusters = Object.entries(login?.clusters ?? {}).flatMap(([name, { audience, server }]) => [
    [`login.clusters.${name}.audience`, audience] as const,
    [`login.clusters.${name}.server`, server] as const,
  ]);
  const named = [
    ...server.apiAudiences.map((audience) => ['server.apiAudiences', audience] as const),
    ['login.publicUrl', login?.publicUrl ?? ''] as const,
    ...clusters,
    ['provenance.keyPrefix', provenance?.keyPrefix ?? ''] as const,
  ];
  const examples = named
    .filter(([, value]) => ofExamples.test(value))
    .map(([setting, value]) => `${setting} (${value})`);
  if (examples.length === 0) return [];
  return warning(
    'example-names',
    `names of an example are left: ${examples.join(', ')}`,
    'write your own names',
  );
}
