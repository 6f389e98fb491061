/**
 * The reasons of this server's errors, as in `StatusReason` of apimachinery's pkg/apis/meta/v1/types.go. A Kubernetes
 * client looks at the reason before the code: `InternalError`, `Timeout` and `TooManyRequests` make kube-apiserver
 * retry. There is no reason for 408, and `Timeout` would be retried, so a slow body is a bad request.
 */
const reasons = {
  400: 'BadRequest',
  403: 'Forbidden',
  404: 'NotFound',
  405: 'MethodNotAllowed',
  408: 'BadRequest',
  413: 'RequestEntityTooLarge',
  415: 'UnsupportedMediaType',
  429: 'TooManyRequests',
  431: 'BadRequest',
  500: 'InternalError',
  503: 'ServiceUnavailable',
} as const;

/**
 * The status codes of errors. 504 is left out on purpose: see `reasons`. Only an access review is answered with 503, since a token review has
 * answers of its own for what could not be checked.
 */
export type StatusCode = keyof typeof reasons;

/**
 * An error that is answered in place of a TokenReview. Its message reaches the caller and its log: name fields, never
 * values.
 */
export class StatusError extends Error {
  override readonly name = 'StatusError';
  readonly code: StatusCode;

  constructor(code: StatusCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** Makes the body of an error answer, as the Kubernetes API reports it: `Status` of the same file. */
export function toStatus(code: StatusCode, message: string): object {
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message,
    reason: reasons[code],
    code,
  };
}
