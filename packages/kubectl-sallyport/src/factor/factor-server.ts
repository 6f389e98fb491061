import {
  localEnd,
  loginTimeout,
  readBody,
  sendWhenFree,
  unexpected,
} from '../server/login-server.ts';
import { readRefusal, type ServerRefusal } from '../server/refusal.ts';
import type { ServerAddress } from '../server/request.ts';
import { isObject } from '../text.ts';

/** Proves who it is. `code` is one of a second factor that the user has. */
interface NewApp {
  readonly username: string;
  readonly password: string;
  readonly invitation?: string | undefined;
  readonly code?: string | undefined;
  readonly label: string | undefined;
}

/** The statuses of answers whose code says what to do. */
const refusals = new Set([401, 404, 409]);

async function post(server: ServerAddress, body: object, expected: number) {
  const request = { method: 'POST', path: '/v1/factors', body, timeout: loginTimeout } as const;
  const answer = await sendWhenFree(server, request);
  if (refusals.has(answer.status)) return readRefusal(answer);
  return { answer, content: readBody(server, answer, expected) };
}

export type BegunApp = Exclude<Awaited<ReturnType<typeof beginApp>>, ServerRefusal>;

/** Begins to add an authenticator app. @returns its secret, and the end of the time by the clock of this machine */
export async function beginApp(server: ServerAddress, body: NewApp) {
  const begun = await post(server, body, 200);
  if ('refused' in begun) return begun;
  const { secret, uri, enrolment, expiresAt } = begun.content;
  const end = localEnd(expiresAt, begun.answer);
  // They are shown at the terminal as they are.
  const isSecret = typeof secret === 'string' && /^[A-Z2-7]{16,256}$/.test(secret);
  const isUri = typeof uri === 'string' && /^otpauth:\/\/totp\/[\x21-\x7e]{1,2000}$/.test(uri);
  if (!isSecret || !isUri || typeof enrolment !== 'string' || Number.isNaN(end))
    throw unexpected(server);
  return { secret, uri, enrolment, expiresAt: end };
}

/** Adds an app, by its first code. @returns its name, and the recovery codes if there are new ones */
export async function finishApp(
  server: ServerAddress,
  body: { readonly enrolment: string; readonly code: string },
) {
  const added = await post(server, body, 201);
  if ('refused' in added) return added;
  const { factor, recoveryCodes = [] } = added.content;
  if (!isObject(factor) || typeof factor.name !== 'string' || !Array.isArray(recoveryCodes))
    throw unexpected(server);
  const codes: readonly string[] = recoveryCodes.map(String);
  if (codes.some((code) => !/^[\w-]{1,64}$/.test(code))) throw unexpected(server);
  return { name: factor.name, recoveryCodes: codes };
}
