import type { Login } from './browser/way.ts';
import type { SavedSession } from './cache/session-file.ts';
import type { CacheStore } from './cache/store.ts';
import { Failure } from './failure.ts';
import type { PasswordSource } from './password.ts';
import { logIn } from './server/login-server.ts';
import { type ServerRefusal, wrongText } from './server/refusal.ts';
import type { Target } from './target.ts';
import { commandFor } from './user-target.ts';

/**
 * Logs in with a password, and with the code of a second factor if the server requires one. The user has three attempts at a prompt.
 *
 * @param inBrowser logs in a user whose second factor is a passkey. Undefined: no one is at a terminal
 * @throws Failure
 */
export async function sessionByPassword(
  target: Target,
  store: CacheStore,
  { device, isPlugin }: Login,
  source: PasswordSource,
  inBrowser?: (user: Target) => Promise<SavedSession>,
): Promise<SavedSession> {
  const { url, cluster } = target;
  let problem = '';
  for (let attemptsLeft = source.isPrompt ? 3 : 1; attemptsLeft > 0; attemptsLeft--) {
    // A person who runs `login` is there to answer, also after a typing error.
    if (isPlugin && source.isPrompt) store.prompts.begin();
    const credentials = await source.read(target, store);
    const { username } = credentials;
    const send = (code?: string) => logIn(target, { ...credentials, cluster, device, code });
    let result = await send();
    if ('refused' in result && result.refused === 'second-factor-required') {
      if (inBrowser === undefined) throw await noScript(target);
      const { isPasskeyAlone, withCode } = await import('./factor/code.ts');
      if (isPasskeyAlone(result)) {
        // It is one login, which the browser counts again.
        if (isPlugin) store.prompts.takeBack();
        process.stderr.write('This account logs in with a passkey, which needs a browser\n');
        const isProposed = target.username === undefined || target.isProposed;
        return await inBrowser({ ...target, username, isProposed });
      }
      const browser = `${await commandFor(target)} --browser`;
      result = await withCode(result, send, { browser });
    }
    if (!('refused' in result)) {
      const { user, token, expiresAt } = result;
      const session = { url, cluster, username, user, token, expiresAt };
      store.write(session);
      store.prompts.succeeded();
      store.windows.succeeded();
      return session;
    }
    const refusalText = wrongText(result);
    if (refusalText === undefined) throw await refusedForGood(target, result);
    problem = refusalText;
    if (attemptsLeft > 1) process.stderr.write(`${problem}\n`);
  }
  throw new Failure(
    `${url}: ${problem} to cluster ${cluster}`,
    `check ${source.check}, and the name, which is without a prefix such as corp: here. For the reason, ask your administrator`,
  );
}

/** Makes the error of a refusal after which no other attempt can be right. */
async function refusedForGood(
  target: Target,
  { refused, message }: ServerRefusal,
): Promise<Failure> {
  if (refused === 'second-factor-not-enrolled') {
    const command = await commandFor(target, 'factor add');
    return new Failure(`${target.url}: ${message}`, `with an invitation, run: ${command}`);
  }
  return new Failure(
    `${target.url}: the login was refused (${refused}): ${message}`,
    'update kubectl-sallyport, or ask your administrator',
  );
}

async function noScript(target: Target): Promise<Failure> {
  return new Failure(
    `${target.url}: this account needs a second factor, which a script can't have`,
    `for CI, ask your administrator for a token of its own, or for an account without a second factor. At a terminal, run: ${await commandFor(target)}`,
  );
}
