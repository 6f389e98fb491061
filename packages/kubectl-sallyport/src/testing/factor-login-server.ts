import { text } from 'node:stream/consumers';
import { waitFor } from '@sallyport/test-servers/wait-for';
import type { TerminalRun } from './client.ts';
import { localServer } from './local-server.ts';

/** A factor secret, as apps take it. */
export const appSecret = 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP';
export const appUri = `otpauth://totp/login.example.com:ada?secret=${appSecret}&issuer=login.example.com`;

const messages = {
  'wrong-credentials': 'the name or the password is wrong',
  'wrong-code': 'the code is wrong: correct the clock of the device',
  'wrong-invitation': 'the invitation is wrong',
  'invitation-required': 'the first second factor needs an invitation',
  'second-factor-required': 'a code is required',
  'second-factor-not-enrolled': 'this user must have a second factor, and has none',
  'enrolment-ended': 'this took too long: begin again',
};

interface User {
  /** How the user can prove a second factor. Undefined: they have none, and must have one. */
  readonly methods?: readonly string[];
  /** The codes that are right. The first code of a new app is one of them. */
  readonly codes?: readonly string[];
  readonly invitation?: string;
  /** More of the answer about the clusters. */
  readonly ways?: object;
  /** The recovery codes of a new app. */
  readonly recoveryCodes?: readonly string[] | undefined;
}

/** A login server with second factors. The password of its user ada is `right`. */
export async function factorLoginServer({
  methods,
  codes = [],
  invitation,
  ways = {},
  recoveryCodes,
}: User = {}) {
  const bodies: Readonly<Record<string, unknown>>[] = [];
  const url = await localServer(async (request, response) => {
    const body = JSON.parse((await text(request)) || '{}');
    if (request.method === 'POST') bodies.push({ path: request.url, ...body });
    const send = (status: number, value: object) =>
      response.writeHead(status).end(JSON.stringify(value));
    const refuse = (code: keyof typeof messages, status = 401) =>
      send(status, { code, message: messages[code], ...(methods && { methods }) });
    const isRight = codes.includes(body.code);
    if (request.url === '/v1/clusters')
      return send(200, { clusters: [{ name: 'prod' }], secondFactor: true, ...ways });
    if (body.enrolment !== undefined) {
      if (body.code === 'late') return refuse('enrolment-ended', 409);
      if (!isRight) return refuse('wrong-code');
      return send(201, { factor: { id: 'x', method: 'totp', name: 'phone' }, recoveryCodes });
    }
    if (body.password !== 'right') return refuse('wrong-credentials');
    const isEnrolling = request.url === '/v1/factors';
    if (methods === undefined && !isEnrolling) return refuse('second-factor-not-enrolled');
    if (isEnrolling && body.invitation !== undefined) {
      if (body.invitation !== invitation) return refuse('wrong-invitation');
    } else if (methods !== undefined) {
      if (body.code === undefined) return refuse('second-factor-required');
      if (!isRight) return refuse('wrong-credentials');
    } else return refuse('invitation-required');
    const expiresAt = '2999-01-01T00:00:00Z';
    return isEnrolling
      ? send(200, { secret: appSecret, uri: appUri, enrolment: 'sealed', expiresAt })
      : send(201, { token: 'sps_x', user: { username: 'corp:ada' }, expiresAt });
  });
  return { url, bodies };
}

/** Types each line at the question before it, which may come again. */
export async function converse(
  run: TerminalRun,
  lines: readonly (readonly [question: string, line: string])[],
): Promise<void> {
  let from = 0;
  const ended = run.ended.then(() => 'ended');
  for (const [question, line] of lines) {
    const asked = waitFor(() => run.shown().indexOf(question, from) >= 0, `"${question}"`);
    if ((await Promise.race([asked, ended])) === 'ended' && !run.shown().includes(question, from))
      throw new Error(`it ended before "${question}": ${run.shown()}`);
    from = run.shown().indexOf(question, from) + question.length;
    run.type(`${line}\r`);
  }
}
