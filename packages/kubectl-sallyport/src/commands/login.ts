import { parseWords, tokenOptions } from '../arguments.ts';
import { cacheOfUser } from '../cache/folder.ts';
import { openStore } from '../cache/store.ts';
import { Failure, usageFailure, warn } from '../failure.ts';
import { passwordSource } from '../password.ts';
import { logOut } from '../server/login-server.ts';
import { newSession } from '../session.ts';
import { printable } from '../text.ts';
import { localTime } from '../times.ts';
import { targetOfUser } from '../user-target.ts';

const options = {
  ...tokenOptions,
  'password-stdin': { type: 'boolean' },
} as const;

/** Logs in, also when there is a session: it may be that of another account, or have old groups. */
export async function login(words: readonly string[]): Promise<void> {
  const { values } = parseWords(words, options);
  const target = await targetOfUser(values);
  const source = passwordSource({ device: values.device, mayAsk: true, passwordStdin: values['password-stdin'] });
  if (source === undefined) {
    throw usageFailure(
      'standard input is no terminal: no password can be typed. Use --password-stdin, or set SALLYPORT_PASSWORD_FILE',
    );
  }
  const store = openStore(cacheOfUser(), target, warn);
  using _lock = await store.lock(() => source.say('waiting for the login of another kubectl'));
  const before = store.read()?.session;
  const session = await newSession(target, store, source);
  if (before !== undefined) await logOut(target, before.token).catch(ignoreFailure);
  process.stdout.write(
    `logged in to cluster ${printable(target.cluster)} as ${printable(session.user)} until ${localTime(session.expiresAt)}\n`,
  );
}

/** The old session ends by itself. */
function ignoreFailure(error: unknown): void {
  if (!(error instanceof Failure)) throw error;
}
