import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { secret } from '@sallyport/test-servers/tokens';
import type { Site } from './login-client.ts';

/** A login that was begun as kubectl-sallyport does it. */
export interface BegunLogin extends AsyncDisposable {
  readonly id: string;
  readonly url: string;
  /** The paths that the browser has asked for at its listener. */
  readonly visits: readonly string[];
  /** Exchanges a code. @param verifier defaults to the right one */
  redeem(code: string, verifier?: string): ReturnType<Site['post']>;
}

interface Begin {
  /** Whether a listener waits for the code, as on the machine of the browser. Default: true. */
  readonly listens?: boolean;
  /** The address that it comes from. `login.trustedProxies` must have 127.0.0.1. */
  readonly address?: string;
  readonly device?: string;
  readonly username?: string;
}

/** Begins a login for the cluster prod. */
export async function beginLogin(site: Site, how: Begin = {}): Promise<BegunLogin> {
  const { listens = true, address, device = "jane's laptop", username } = how;
  const visits: string[] = [];
  const server = createServer((request, response) => {
    visits.push(request.url ?? '');
    response
      .writeHead(200, {
        'content-type': 'text/html',
        'content-security-policy': "default-src 'none'",
      })
      .end('<!doctype html><title>Logged in</title><h1>Logged in</h1>');
  });
  if (listens) await once(server.listen(0, '127.0.0.1'), 'listening');
  const own = secret(randomBytes(32).toString('base64url'));
  const asked = {
    challenge: createHash('sha256').update(own).digest('base64url'),
    cluster: 'prod',
    device,
    ...(listens && { port: (server.address() as AddressInfo).port }),
    ...(username !== undefined && { username }),
  };
  const from = address === undefined ? {} : { 'x-forwarded-for': address };
  const { status, json } = await site.post('/v1/logins', asked, from);
  if (status !== 201) throw new Error(`the login began with ${status}: ${JSON.stringify(json)}`);
  return {
    id: String(json.id),
    url: String(json.url),
    visits,
    async redeem(code, verifier = own) {
      const answer = await site.post('/v1/sessions', { id: json.id, code, verifier });
      if (answer.json.token !== undefined) secret(String(answer.json.token));
      return answer;
    },
    async [Symbol.asyncDispose]() {
      if (!server.listening) return;
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
