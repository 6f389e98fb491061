import { goJson } from '@sallyport/test-servers/leaks';
import type { Client } from './clients.ts';
import type { Version } from './token-review.ts';

/** The person of a request to the cluster, as kube-apiserver knows them. */
export interface AccessUser {
  readonly username: string;
  readonly groups?: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

/** The `status` of the answer, or the HTTP status of an error. */
type AccessAnswer =
  | { readonly allowed: boolean; readonly denied?: true; readonly reason?: string }
  | number;

/** What kube-apiserver's client reads in an answer without an opinion. */
export const noOpinion = { allowed: false };

/**
 * Makes the body of an access review as kube-apiserver's client writes it (k8s.io/apiserver
 * plugin/pkg/authorizer/webhook/webhook.go): someone lists pods.
 */
export function accessReviewBody(
  { username, groups = [], extra }: AccessUser,
  version: Version = 'v1',
): string {
  return goJson({
    kind: 'SubjectAccessReview',
    apiVersion: `authorization.k8s.io/${version}`,
    metadata: { creationTimestamp: null },
    spec: {
      resourceAttributes: { namespace: 'default', verb: 'list', version: 'v1', resource: 'pods' },
      user: username,
      [version === 'v1' ? 'groups' : 'group']: groups,
      ...(extra && { extra }),
    },
    status: { allowed: false },
  });
}

/** Sends an access review. */
export async function askAccess(
  client: Client,
  user: AccessUser,
  version: Version = 'v1',
): Promise<AccessAnswer> {
  const path = '/authorize?timeout=30s';
  const { status, text } = await client.send({ path, body: accessReviewBody(user, version) });
  return status === 200 ? JSON.parse(text).status : status;
}
