import { join } from 'node:path';
import { findLeaks } from '@sallyport/test-servers/leaks';
import { secretsInUse } from '@sallyport/test-servers/tokens';
import { createLogger } from '../base/logging/logger.ts';
import { startGateway } from '../runtime/gateway.ts';

/** A gateway in this process. Disposing it ends it, and throws if a secret of the test is in its log. */
export interface StartedGateway extends AsyncDisposable {
  readonly url: string;
  readonly adminUrl: string;
  /** The log so far. */
  log(): string;
  reload(): Promise<void>;
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
    async [Symbol.asyncDispose]() {
      await shutdown();
      const leaks = findLeaks(text, secretsInUse());
      if (leaks.length > 0) throw new Error(`the gateway printed secrets: ${leaks.join('; ')}`);
    },
  };
}
