import { stringify } from 'yaml';
import { type Client, http1Client } from '../testing/clients.ts';
import { type Gateway, startGateway } from '../testing/gateway.ts';
import { staticAuthenticator, tokensFile } from '../testing/static-tokens.ts';
import { reviewBody } from '../testing/token-review.ts';
import { randomToken } from '../testing/tokens.ts';

/** A gateway that is measured, and a client of it. */
export interface Measured extends AsyncDisposable {
  readonly name: string;
  readonly gateway: Gateway;
  readonly client: Client;
  /** The bodies of reviews, each of another token that is let in. */
  readonly bodies: readonly string[];
}

const tokenCount = 200;

/** As users run it: with the default log level, and answers cached in memory. */
export async function startMeasured(name: string, more: object = {}): Promise<Measured> {
  const tokens = Array.from({ length: tokenCount }, () => randomToken());
  const users = Object.fromEntries(tokens.map((token, at) => [token, `user-${at}`]));
  const config = stringify({
    server: { listen: '127.0.0.1:0', shutdownDelay: '0s' },
    admin: { listen: '127.0.0.1:0' },
    authenticators: [{ ...staticAuthenticator, cache: { store: 'memory' } }],
    ...more,
  });
  const gateway = await startGateway({ config, files: { 'tokens.yaml': tokensFile(users) } });
  const client = http1Client(gateway.url, undefined, 32);
  return {
    name,
    gateway,
    client,
    bodies: tokens.map((token) => reviewBody(token)),
    async [Symbol.asyncDispose]() {
      client[Symbol.dispose]();
      await gateway.stop();
    },
  };
}
