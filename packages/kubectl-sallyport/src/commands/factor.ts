import { parseWords, targetOptions } from '../arguments.ts';
import { isPasskeyAlone, maxCodes, withCode } from '../factor/code.ts';
import { type BegunApp, beginApp, finishApp } from '../factor/factor-server.ts';
import { qrCode } from '../factor/qr-code.ts';
import { Failure, usageFailure } from '../failure.ts';
import { askCredentials } from '../password.ts';
import { listClusters } from '../server/login-server.ts';
import { type ServerRefusal, wrongText } from '../server/refusal.ts';
import type { Target } from '../target.ts';
import { openTerminal, type Terminal } from '../terminal/terminal.ts';
import { printable, shellWord } from '../text.ts';
import { serverOfUser } from '../user-target.ts';

/** A login server that has second factors. */
interface FactorServer extends Omit<Target, 'cluster'> {
  /** The page on which users change their second factors, if there is one. */
  readonly page: string | undefined;
  /** The command that the user typed. No word of it is secret. */
  readonly command: string;
}

/** The message says this when it ends early. */
const result = 'no second factor was added';

/** A login server gives no more time for the first code, in milliseconds. */
const maxWait = 10 * 60_000;

/** Name and password, and the invitation, may be wrong this many times. */
const maxAttempts = 3;

/** Changes the second factors of the user. */
export async function factor([action = '', ...words]: readonly string[]): Promise<void> {
  if (action !== 'add') {
    const problem =
      action === '' ? 'factor needs a subcommand' : `unknown subcommand factor ${action}`;
    throw usageFailure(problem, 'write: kubectl sallyport factor add');
  }
  const { values } = parseWords(words, { ...targetOptions, label: { type: 'string' } });
  const { label } = values;
  if (label !== undefined && (label.length > 64 || printable(label) !== label))
    throw usageFailure('--label has over 64 characters, or control characters', 'shorten it');
  const target = await serverOfUser(values);
  const { browser, secondFactor } = await listClusters(target);
  if (!secondFactor)
    throw usageFailure(
      `${target.url}: it has no second factors`,
      'ask your administrator for login.secondFactor',
    );
  const server = {
    ...target,
    page: browser ? `${target.url}/login/factors` : undefined,
    command: ['kubectl sallyport factor add', ...words.map(shellWord)].join(' '),
  };
  const { username, begun } = await begin(server, label);
  const name = await finish(server, begun);
  process.stdout.write(`added the second factor ${printable(name)} of ${printable(username)}\n`);
  if (server.page !== undefined)
    process.stdout.write(
      `  to change your second factors, such as passkeys, open ${server.page}\n`,
    );
}

/** Opens a screen: secrets must not be written anywhere else. @throws Failure */
function openScreen(): Terminal {
  const terminal = openTerminal(result);
  if (terminal?.isScreen) return terminal;
  terminal?.[Symbol.dispose]();
  throw usageFailure(
    'there is no terminal to ask for a password, and to show a secret on',
    'run this in a terminal',
  );
}

/** Proves who the user is. @returns the secret of the new app */
async function begin(server: FactorServer, label: string | undefined) {
  let lastName: string | undefined;
  let problem = '';
  for (let attempt = 0; attempt < maxAttempts; attempt++) {
    if (problem !== '') process.stderr.write(`${problem}\n`);
    const credentials = await askWho(server, lastName);
    const { username } = credentials;
    lastName = username;
    const send = (proof?: { readonly code?: string; readonly invitation?: string }) =>
      beginApp(server, { ...credentials, label, ...proof });
    let answer = await send();
    if (!('refused' in answer)) return { username, begun: answer };
    const byInvitation = () => withInvitation((invitation) => send({ invitation }));
    if (answer.refused === 'second-factor-required' && !isPasskeyAlone(answer)) {
      // Without their app, only the invitation is left to them.
      const instead = { name: 'an invitation', prove: byInvitation };
      answer = await withCode(answer, (code) => send({ code }), { result, instead });
    } else if (answer.refused === 'invitation-required') answer = await byInvitation();
    if (!('refused' in answer)) return { username, begun: answer };
    const refusalText = wrongText(answer);
    if (refusalText === undefined) throw toFailure(server, answer);
    problem = refusalText;
  }
  throw new Failure(
    `${server.url}: ${problem}`,
    `check what you type, or ask your administrator; then run: ${server.command}`,
  );
}

async function askWho({ url, username }: FactorServer, lastName: string | undefined) {
  using terminal = openScreen();
  terminal.write(`Add a second factor at ${url}\n`);
  // `await` keeps the terminal open until there is an answer.
  return await askCredentials(terminal, username, lastName);
}

/** Asks for an invitation until one is right. It is never an argument, which other users of this machine could read. */
async function withInvitation(
  send: (invitation: string) => Promise<BegunApp | ServerRefusal>,
): Promise<BegunApp | ServerRefusal> {
  for (let attempt = 1; ; attempt++) {
    const answer = await send(await askInvitation());
    const isWrong = 'refused' in answer && answer.refused === 'wrong-invitation';
    if (!isWrong || attempt === maxAttempts) return answer;
    process.stderr.write(`${printable(answer.message)}\n`);
  }
}

async function askInvitation(): Promise<string> {
  using terminal = openScreen();
  const typed = await terminal.ask('Invitation code (from your administrator): ', true);
  // Some people paste the link of the invitation.
  const invitation = /\/login\/factors\/([^/?#\s]+)/.exec(typed)?.[1] ?? typed.trim();
  if (invitation === '')
    throw usageFailure(`the invitation is empty: ${result}`, 'type the code of your administrator');
  return invitation;
}

/** Makes the error of a refusal after which no other attempt can be right. */
function toFailure(
  { url, page, command }: FactorServer,
  { refused, message }: ServerRefusal,
): Failure {
  if (refused === 'second-factor-required')
    return new Failure(
      `${url}: this account has a passkey, which needs a browser`,
      page === undefined ? 'ask your administrator' : `add the app on this page: ${page}`,
    );
  const isPasskeyPossible = refused === 'no-second-factor' && page !== undefined;
  const advice = isPasskeyPossible ? `to add a passkey, open ${page}` : 'ask your administrator';
  const fix = refused === 'enrolment-ended' ? `run: ${command}` : advice;
  return new Failure(`${url}: ${message || `the request was refused (${refused})`}`, fix);
}

/** Shows the secret, and asks for the first code. Ctrl-C does not end it while the server adds the app. @returns the name of the app */
async function finish(server: FactorServer, begun: BegunApp): Promise<string> {
  using terminal = openScreen();
  const { secret, uri, enrolment, expiresAt } = begun;
  const code = qrCode(uri, terminal.columns);
  const [how, picture] =
    code === undefined
      ? ['Type this secret', '']
      : ['Scan this QR code, or type the secret', `${code}\n`];
  const groups = secret.match(/.{1,4}/g)?.join(' ');
  terminal.write(
    `${how} in your authenticator app:\n\n${picture}  Secret: ${groups}\n  Kind:   time-based, 6 digits, 30s\n\n`,
  );
  // A person who installs an app needs more time than for a password.
  const over = AbortSignal.timeout(Math.min(Math.max(0, expiresAt - Date.now()), maxWait));
  for (let attemptsLeft = maxCodes; attemptsLeft > 0; attemptsLeft--) {
    const code = (await terminal.ask('Code that the app shows now: ', false, over)).trim();
    const added = await finishApp(server, { enrolment, code });
    if (!('refused' in added)) {
      terminal.write(textOfRecovery(added.recoveryCodes));
      return added.name;
    }
    if (added.refused !== 'wrong-code') throw toFailure(server, added);
    terminal.write(`${printable(added.message) || 'the code is wrong'}\n`);
  }
  throw new Failure(
    `${server.url}: ${maxCodes} codes were wrong: ${result}`,
    `run: ${server.command}`,
  );
}

function textOfRecovery(codes: readonly string[]): string {
  if (codes.length === 0) return '\nThe recovery codes that you have are still valid.\n';
  return [
    '\nYour recovery codes. If you lose the app, each of them works once in its place:\n',
    ...codes.map((code) => `  ${code}`),
    '\nKeep them where only you can read them, and not only on the device with the app: they are not shown again.',
    'Then clear this terminal: it still shows the secret and the codes.\n\n',
  ].join('\n');
}
