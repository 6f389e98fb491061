import type { Behaviour, Received, Reply } from './server.ts';

/** Users of a peer, by their token. */
export type Users = Readonly<
  Record<string, { readonly username: string; readonly groups?: readonly string[] }>
>;

const v1 = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview' };
const v1beta1 = { apiVersion: 'authentication.k8s.io/v1beta1', kind: 'TokenReview' };
/** The JSON that Go's package writes for empty structs. */
const empty = { metadata: { creationTimestamp: null }, spec: {}, status: { user: {} } };

/** The headers of Go's server for JSON whose type is not set. */
const sniffed = { 'content-type': 'text/plain; charset=utf-8' };

/** kubeguard/guard server/utils.go `write`: always v1, and 401 for a refusal and an outage. */
export const guard =
  (users: Users): Behaviour =>
  ({ review: { spec } }) => {
    const user = users[spec.token];
    if (user !== undefined)
      return { body: { ...v1, ...empty, status: { authenticated: true, user } } };
    const error = `failed to authenticate ${spec.token}`;
    return { status: 401, body: { ...v1, ...empty, status: { user: {}, error } } };
  };

/** kubernetes-sigs/aws-iam-authenticator pkg/server/server.go: no apiVersion, `extra` in mixed case, 403 and 429. */
export const awsIamAuthenticator =
  (users: Users): Behaviour =>
  ({ review: { spec } }) => {
    const headers = { 'content-type': 'application/json; charset=UTF-8' };
    const user = users[spec.token];
    if (spec.token.endsWith('throttled')) return { status: 429, headers, body: empty };
    if (user === undefined) return { status: 403, headers, body: empty };
    const extra = {
      accessKeyId: ['AKIA'],
      arn: [`arn:aws:sts::1:assumed-role/${user.username}/s`],
      canonicalArn: [`arn:aws:iam::1:role/${user.username}`],
      principalId: ['AROA'],
      sessionName: ['s'],
    };
    const status = {
      authenticated: true,
      user: { ...user, uid: 'aws-iam-authenticator:1:AROA', extra },
    };
    return { headers, body: { ...empty, status } };
  };

/** rancher/kube-api-auth pkg/service/handlers/v1-kube-api-authn.go: 400, and 401 for all else; its own error objects. */
export const rancher =
  (users: Users): Behaviour =>
  ({ review: { spec } }) => {
    const error = (status: number, code: string) => ({
      status,
      body: { type: 'error', status, code },
    });
    if (!spec.token.includes(':')) return error(400, 'BadRequest');
    const user = users[spec.token];
    if (user === undefined) return error(401, 'Unauthorized');
    return {
      headers: sniffed,
      body: { ...v1, status: { authenticated: true, user: { ...user, uid: '' } } },
    };
  };

/** HopopOps/k8s-ldap-auth server/server.go: one exact content type, 400 in plain text, and the request comes back. */
export const k8sLdapAuth =
  (users: Users): Behaviour =>
  ({ review, headers }) => {
    if (headers['content-type'] !== 'application/json')
      return { status: 406, headers: sniffed, body: 'not acceptable' };
    const user = users[review.spec.token];
    if (user === undefined) return { status: 400, headers: sniffed, body: 'malformed token' };
    return {
      body: {
        ...review,
        status: { authenticated: true, user: { ...user, uid: `uid=${user.username}` } },
      },
    };
  };

/** vmware/pinniped internal/localuserauthenticator/localuserauthenticator.go: v1beta1 alone, 400, 404, 415 without a body. */
export const pinniped =
  (users: Users): Behaviour =>
  ({ path, headers, review }) => {
    if (path !== '/authenticate') return { status: 404 };
    const isExpected =
      headers['content-type'] === 'application/json' &&
      headers.accept?.includes('application/json');
    if (!isExpected) return { status: 415 };
    if (review.apiVersion !== v1beta1.apiVersion || !review.spec.token.includes(':'))
      return { status: 400 };
    const user = users[review.spec.token];
    const status = user === undefined ? { user: {} } : { authenticated: true, user };
    return { body: { ...v1beta1, ...empty, status } };
  };

/** gardener/oidc-webhook-authenticator webhook/authentication/http.go: false without an error whatever the cause; an echo. */
export const oidcWebhookAuthenticator =
  (users: Users): Behaviour =>
  ({ review }) => {
    const user = users[review.spec.token];
    const extra = { 'gardener.cloud/authenticator/name': ['idp'] };
    const status =
      user === undefined ? { user: {} } : { authenticated: true, user: { ...user, extra } };
    return { headers: sniffed, body: { ...review, metadata: { creationTimestamp: null }, status } };
  };

interface ApiServer {
  readonly users: Users;
  readonly bearer: string;
  /** All tokens are for these audiences. */
  readonly audiences: readonly string[];
}

/**
 * The TokenReview API (kubernetes/kubernetes pkg/registry/authentication/tokenreview/storage.go): 201, the object comes back,
 * each refusal has an error, and 401 and 403 are about the caller.
 */
export const kubeApiServer =
  ({ users, bearer, audiences }: ApiServer): Behaviour =>
  (received) => {
    const refusal = refusalOfCaller(received, bearer);
    if (refusal !== undefined) return refusal;
    const { spec } = received.review;
    const sent = spec.audiences ?? audiences;
    const common = sent.filter((one) => audiences.includes(one));
    const user = users[spec.token];
    const answer = (status: object) => ({
      status: 201,
      body: { ...received.review, metadata: {}, status },
    });
    // The text is the error for a token of its own that is not valid any more, or that could not be checked.
    const [, said] = /^tkt_says:(.*)$/s.exec(spec.token) ?? [];
    if (said !== undefined) return answer({ user: {}, error: said });
    if (user === undefined || common.length === 0)
      return answer({ user: {}, error: 'invalid bearer token' });
    const extra = {
      'authentication.kubernetes.io/credential-id': ['JTI=1'],
      'authentication.kubernetes.io/pod-name': ['a-pod'],
    };
    const groups = ['system:serviceaccounts', ...(user.groups ?? []), 'system:authenticated'];
    return answer({ authenticated: true, user: { ...user, groups, extra }, audiences: common });
  };

function refusalOfCaller({ path, headers }: Received, bearer: string): Reply | undefined {
  const status = (code: number, reason: string) => {
    return {
      status: code,
      body: { kind: 'Status', apiVersion: 'v1', status: 'Failure', reason, code },
    };
  };
  if (headers.authorization === undefined) return status(403, 'Forbidden');
  if (headers.authorization !== `Bearer ${bearer}`) return status(401, 'Unauthorized');
  return /^\/apis\/authentication\.k8s\.io\/v1(beta1)?\/tokenreviews$/.test(path)
    ? undefined
    : status(404, 'NotFound');
}
