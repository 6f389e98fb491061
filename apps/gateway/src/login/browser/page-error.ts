import { StatusError } from '../../http/kubernetes-status.ts';
import { LoginError, PageAnswer } from '../login-error.ts';
import { messagePage } from '../pages/message-page.ts';
import { pageHeaders } from '../pages/page-headers.ts';
import type { MessageKind } from '../pages/texts.ts';

/** An error that is answered with a page. */
export class PageError extends Error {
  override readonly name = 'PageError';
  readonly kind: MessageKind;
  readonly status: number;
  /** The path at which the person can try again. */
  readonly again: string | undefined;

  constructor(kind: MessageKind, status: number, again?: string) {
    super(kind);
    this.kind = kind;
    this.status = status;
    this.again = again;
  }
}

/** Whether a path is for browsers, and so are its errors. */
export function isPagePath(path: string): boolean {
  return path.startsWith('/login/');
}

const kinds: Readonly<Record<number, MessageKind>> = {
  403: 'forbidden',
  404: 'not-found',
  405: 'not-found',
  429: 'too-many',
  503: 'unavailable',
};

/** Makes a page of an error. A bug of ours stays as it is. */
export function asPage(error: unknown, publicUrl: string): unknown {
  const isKnown =
    error instanceof PageError || error instanceof LoginError || error instanceof StatusError;
  if (!isKnown) return error;
  const status = error instanceof StatusError ? error.code : error.status;
  const kind = error instanceof PageError ? error.kind : (kinds[status] ?? 'bad-request');
  const again = error instanceof PageError ? error.again : undefined;
  const wait = error instanceof LoginError ? error.retryAfter : undefined;
  return new PageAnswer(
    status,
    messagePage({ kind, ...(again && { again }), ...(wait && { wait }) }),
    {
      ...pageHeaders({ publicUrl, listener: undefined }),
      ...(wait !== undefined && { 'Retry-After': String(wait) }),
    },
  );
}
