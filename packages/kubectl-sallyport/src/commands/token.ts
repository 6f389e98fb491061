import { parseWords, tokenOptions } from '../arguments.ts';
import { cacheOfUser } from '../cache/folder.ts';
import { openStore } from '../cache/store.ts';
import { execCredential, readExecInfo } from '../exec-credential.ts';
import { usageFailure, warn } from '../failure.ts';
import { targetFrom } from '../find-target.ts';
import { passwordSource } from '../password.ts';
import { logInOnce, margin, notLoggedIn, usableSession } from '../session.ts';
import { targetOfUser } from '../user-target.ts';

/** What kubectl runs: writes an ExecCredential to standard output, and nothing else. */
export async function token(words: readonly string[]): Promise<void> {
  const { values } = parseWords(words, tokenOptions);
  const info = readExecInfo(process.env.KUBERNETES_EXEC_INFO);
  const target = info === undefined ? await targetOfUser(values) : targetFrom(values, info.config);
  // The current context may be that of another cluster, which must not get this token.
  if (target === undefined) {
    throw usageFailure(
      'it is not known which cluster to log in to. In the kubeconfig, the user needs provideClusterInfo: true and the ' +
        'cluster its extension, or the user needs the arguments --url and --cluster. Run: kubectl sallyport init URL',
    );
  }
  const store = openStore(cacheOfUser(), target, warn);
  let session = await usableSession(target, store);
  if (session === undefined) {
    const mayAsk = info === undefined || info.interactive;
    const source = passwordSource({ device: values.device, mayAsk });
    if (source === undefined) throw await notLoggedIn(target, 'there is no terminal to ask for a password');
    session = await logInOnce(target, store, source);
  }
  store.noteUse();
  process.stdout.write(execCredential(info?.version, session.token, session.expiresAt - margin));
}
