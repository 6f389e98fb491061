import { attemptLifetime, idLength } from '../attempts/attempt.ts';
import type { AddRoute, LoginLimits, LoginRequest } from '../login-request.ts';
import { requireFactors } from '../prove-factor.ts';
import { maxTyped, randomText } from '../secret-text.ts';
import { requireBrowserLogins } from './browser-logins.ts';
import { changeFactors } from './change-factors.ts';
import { showFactors } from './factors-visit.ts';
import { PageError } from './page-error.ts';
import { pageRequest, type ReadForm, sendTo } from './page-request.ts';
import { proveOnPage, showFactor } from './prove-on-page.ts';

/** Adds the pages of second factors. They come before the paths of attempts, one of which would fit `/login/factors`. */
export function addFactorPages(route: AddRoute, readForm: ReadForm, limits: LoginLimits): void {
  route('get', '/login/factors', 'begin', beginVisit);
  route('get', '/login/factors/:invitation', 'begin', beginVisit);
  route('get', '/login/:attempt/factor', 'page', (request) =>
    showFactor(pageRequest(request, limits)),
  );
  route('post', '/login/:attempt/factor', 'page-factor', (request) =>
    proveOnPage(pageRequest(request, limits), readForm, limits, 'code'),
  );
  route('post', '/login/:attempt/passkey', 'page-factor', (request) =>
    proveOnPage(pageRequest(request, limits), readForm, limits, 'passkey'),
  );
  route('get', '/login/:attempt/factors', 'page', (request) =>
    showFactors(pageRequest(request, limits)),
  );
  route('post', '/login/:attempt/factors', 'change-factors', (request) =>
    changeFactors(pageRequest(request, limits), readForm, limits),
  );
}

/** Begins a visit to change second factors. It uses nothing up: scanners open the links in a mail as well. */
async function beginVisit(request: LoginRequest): Promise<void> {
  const { context, service, address } = request;
  const { attempts } = requireBrowserLogins(service);
  requireFactors(service);
  const { invitation } = context.params as { readonly invitation?: string };
  if (invitation !== undefined && invitation.length > maxTyped)
    throw new PageError('not-found', 404);
  const attempt = {
    id: randomText(idLength),
    until: Date.now() + attemptLifetime,
    // No client can redeem anything: no secret has this digest.
    challenge: '',
    address,
    manages: { ...(invitation !== undefined && { invitation }) },
  };
  sendTo(request, `/login/${attempts.writeAttempt(attempt)}`);
}
