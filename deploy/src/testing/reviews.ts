import type { IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import { text } from 'node:stream/consumers';
import type { Authority, KeyPair } from '@sallyport/test-servers/certificates';

/** The part of an answer that a client reads. */
interface ReviewAnswer {
  readonly status: {
    readonly authenticated?: boolean;
    readonly user?: { readonly username: string };
  };
  /** The gateway asks the client to go elsewhere. */
  readonly isLast: boolean;
}

export interface Reviewer {
  /** @throws Error when no answer came */
  review(token: string): Promise<ReviewAnswer>;
}

/** A client that keeps one connection, with a client certificate. */
export function createReviewer(
  url: string,
  server: Authority,
  { certificate, key }: KeyPair,
): Reviewer {
  const agent = new Agent({
    keepAlive: true,
    maxSockets: 1,
    ca: server.certificate,
    cert: certificate,
    key,
  });
  return {
    async review(token) {
      const review = {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenReview',
        spec: { token },
      };
      const sent = request(new URL('/authenticate', url), {
        agent,
        method: 'POST',
        headers: { 'content-type': 'application/json' },
      });
      const answered = new Promise<IncomingMessage>((resolve, reject) => {
        sent.once('response', resolve).once('error', reject);
      });
      sent.end(JSON.stringify(review));
      const response = await answered;
      return {
        ...JSON.parse(await text(response)),
        isLast: response.headers.connection === 'close',
      };
    },
  };
}
