import { printable } from '../../base/logging/printable.ts';
import type { ServerConfig } from '../../config/types.ts';
import type { toTokenReview } from '../../review/token-review.ts';
import type { Invocation } from '../context.ts';
import { commandLine } from '../printed-commands.ts';
import type { ExplainedAnswer } from './ask-chain.ts';

type Status = ReturnType<typeof toTokenReview>['status'];

/** Makes the members of the JSON. There is no `status` that kube-apiserver might not get. */
export function statusJson(status: Status, condition: ExplainedAnswer['condition']): object {
  return condition === undefined
    ? { status }
    : { status: null, ifAskedFor: { audiences: condition, status } };
}

/** Words what kube-apiserver would get, or on which audiences it depends. */
export function describeStatus(
  context: Invocation,
  status: Status,
  condition: ExplainedAnswer['condition'],
  { apiAudiences }: Pick<ServerConfig, 'apiAudiences'>,
): string {
  const json = JSON.stringify(status, null, 2);
  if (condition === undefined) return `kube-apiserver would get: ${json}`;
  const content = apiAudiences.length === 0 ? 'is empty' : 'contains none of these';
  const example = commandLine(context, ['explain', '--audience', 'AUDIENCE']);
  return `What kube-apiserver gets depends on the audiences that it asks for.
If it asks for ${condition.map(printable).join(' or ')}: ${json}
Otherwise, the token is refused. What it asks for is not known, since server.apiAudiences ${content}.
To see its answer, name its --api-audiences, or else its --service-account-issuer: ${example}`;
}
