import type { IncomingMessage } from 'node:http';
import type { ErrorAnswer } from '../../http/answer-errors.ts';
import { StatusError } from '../../http/kubernetes-status.ts';
import { LoginError } from '../login-error.ts';
import { type Brand, writePage } from '../pages/document.ts';
import { messagePage } from '../pages/message-page.ts';
import type { MessageKind } from '../pages/texts.ts';

/** An error that is answered with a page. */
export class PageError extends Error {
  override readonly name = 'PageError';
  readonly kind: MessageKind;
  readonly status: number;
  /** The path at which the person can try again. */
  readonly retryPath: string | undefined;

  constructor(kind: MessageKind, status: number, retryPath?: string) {
    super(kind);
    this.kind = kind;
    this.status = status;
    this.retryPath = retryPath;
  }
}

/** Whether the target of a request is for browsers. */
export function isPagePath(target: string): boolean {
  return target.startsWith('/login/');
}

/** Whether an error is answered with a page. Clients of the API do not ask for HTML. */
export function wantsPage({
  url = '',
  headers,
}: Pick<IncomingMessage, 'url' | 'headers'>): boolean {
  return isPagePath(url) || /\btext\/html\b/i.test(headers.accept ?? '');
}

/** The errors that have a page of their own, by their codes. */
const ownKinds: Readonly<Partial<Record<string, MessageKind>>> = {
  'second-factor-not-enrolled': 'not-enrolled',
  'invitation-required': 'invitation-required',
  'wrong-invitation': 'wrong-invitation',
  'enrolment-ended': 'factors-ended',
  'no-second-factor': 'no-second-factor',
};

const kinds: Readonly<Record<number, MessageKind>> = {
  401: 'not-found',
  403: 'forbidden',
  404: 'not-found',
  405: 'not-found',
  429: 'too-many',
  500: 'error',
  503: 'unavailable',
};

/** Makes the page that answers an error. @returns undefined for a bug of ours */
export function pageOfError(
  error: unknown,
  { publicUrl, brand }: { readonly publicUrl: string; readonly brand: Brand },
): ErrorAnswer | undefined {
  const isKnown =
    error instanceof PageError || error instanceof LoginError || error instanceof StatusError;
  if (!isKnown) return undefined;
  const code = error instanceof StatusError ? error.code : error.status;
  const loginKind = error instanceof LoginError ? ownKinds[error.code] : undefined;
  const kind =
    error instanceof PageError ? error.kind : (loginKind ?? kinds[code] ?? 'bad-request');
  const retryPath = error instanceof PageError ? error.retryPath : undefined;
  const wait = error instanceof LoginError ? error.retryAfter : undefined;
  // No limit of requests bounds its own refusals, so they are small.
  const shownBrand = code === 429 ? { ...brand, logo: undefined } : brand;
  const { body, headers } = writePage(messagePage({ kind, retryPath, wait }), {
    publicUrl,
    brand: shownBrand,
  });
  return {
    code,
    body,
    headers: {
      ...headers,
      ...(wait !== undefined && { 'Retry-After': String(wait) }),
    },
  };
}

/**
 * Finds the problem that a page with a form shows for an error.
 *
 * @param refusal the problem of a refused answer
 * @returns undefined for an error that has a page of its own, or no page
 */
export function findProblem<Refusal extends string>(error: unknown, refusal: Refusal) {
  if (!(error instanceof LoginError)) return undefined;
  if (error.code === 'wrong-credentials') return refusal;
  if (error.status === 429) return 'too-many';
  return error.status === 503 ? 'unavailable' : undefined;
}
