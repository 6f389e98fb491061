import { join } from 'node:path';
import { findLeaks } from '@sallyport/test-servers/leaks';
import { secretsInUse } from '@sallyport/test-servers/tokens';
import { createLogger } from '../base/logging/logger.ts';
import { startGateway } from '../runtime/gateway.ts';
import { review, send } from './clients.ts';

/** The status of a TokenReview, as kube-apiserver gets it. */
interface ReviewStatus {
  readonly authenticated: boolean;
  readonly user?: { readonly username: string; readonly groups?: readonly string[] };
  readonly error?: string;
}

/** A gateway in this process. Disposing it ends it, and throws if a secret of the test is in its log. */
export interface StartedGateway extends AsyncDisposable {
  readonly url: string;
  readonly adminUrl: string;
  /** The log so far. */
  log(): string;
  reload(): Promise<void>;
  /** Asks for a review of a token. @returns the status of the answer */
  review(token: string): Promise<ReviewStatus>;
}

/** Starts a gateway on the gateway.yaml of a folder. Its lines on standard output, such as an audit trail, are those of the process. */
export async function startGatewayIn(
  folder: string,
  environment: Readonly<Record<string, string>> = {},
): Promise<StartedGateway> {
  let text = '';
  const logger = await createLogger('trace', {
    write: (line) => {
      text += line;
    },
  });
  const configFile = join(folder, 'gateway.yaml');
  const { url, adminUrl, reload, shutdown } = await startGateway({
    configFile,
    environment,
    logger,
  });
  return {
    url: String(url),
    adminUrl: String(adminUrl),
    log: () => text,
    reload,
    async review(token) {
      const answer = await send(String(url), { body: review({ token }) });
      return JSON.parse(answer.text).status;
    },
    async [Symbol.asyncDispose]() {
      await shutdown();
      const leaks = findLeaks(text, secretsInUse());
      if (leaks.length > 0) throw new Error(`the gateway printed secrets: ${leaks.join('; ')}`);
    },
  };
}
