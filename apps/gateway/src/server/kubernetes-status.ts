/** An error as the Kubernetes API reports it: `Status` of apimachinery's pkg/apis/meta/v1/types.go. */
export interface Status {
  readonly kind: 'Status';
  readonly apiVersion: 'v1';
  readonly metadata: Readonly<Record<string, never>>;
  readonly status: 'Failure';
  readonly message: string;
  readonly reason: string;
  readonly code: number;
}

/**
 * The reasons of this server's errors, as in `StatusReason` of the same file. A Kubernetes client looks at the reason
 * before the code: `InternalError`, `Timeout` and `TooManyRequests` make kube-apiserver try again. There is no reason for
 * 408, and `Timeout` would be retried, so a slow body is a bad request.
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
} as const;

/** The status codes of errors. It has no 503 and no 504, on purpose: see `reasons`. */
export type StatusCode = keyof typeof reasons;

/** An answer in place of a TokenReview. Its message reaches the caller and its log: name fields, never values. */
export class StatusError extends Error {
  override readonly name = 'StatusError';
  readonly code: StatusCode;

  constructor(code: StatusCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** The body of an error answer. */
export function toStatus(code: StatusCode, message: string): Status {
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason: reasons[code], code };
}
