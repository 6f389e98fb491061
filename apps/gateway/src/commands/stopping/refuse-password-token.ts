import { pino } from 'pino';
import { causeOf } from '../../config/problems.ts';
import type { GatewayConfig } from '../../config/types.ts';
import { createAttempts } from '../../lockout/attempts.ts';
import { type CreatedAuthenticator, closeAuthenticator, createAuthenticators } from '../../runtime/authenticators.ts';
import { commandLine } from '../command-line.ts';
import { UsageError } from '../usage-error.ts';

/** The command that is run on a token, and what it needs besides the user when it is run on them. */
const whatFor = { block: ['--for', '8h'], revoke: [] } as const;

/** What an authenticator says of a token, by its text alone. */
interface Shape {
  readonly authenticator: string;
  readonly recognized: boolean;
  /** As Kubernetes would see it, if the token has the name as the backend writes it. Left out: there is no password in it. */
  readonly username?: string;
}

/**
 * Refuses a token that carries a password: each spelling of that login is a token of its own, so what is done to one of
 * them stops no one. No backend is asked. A token that no authenticator can have is warned of.
 *
 * @param configOption as the operator gave it, for the command to paste
 * @throws UsageError naming the user to stop instead; Error when an authenticator can't say what it is
 */
export async function refusePasswordToken(
  config: GatewayConfig,
  token: string,
  verb: keyof typeof whatFor,
  configOption: string | undefined,
): Promise<void> {
  const shapes = await shapesOf(config, token).catch((error: unknown) => {
    throw new Error(
      "nothing was done: to stop a token, each authenticator must say whether it carries a password, and one can't: " +
        `${causeOf(error)}. Fix that, or name the user: ${commandLine([verb, '--user', 'NAME', ...whatFor[verb]], configOption)}`,
    );
  });
  const logins = shapes.filter(({ username }) => username !== undefined);
  if (logins.length > 0) {
    const names = logins.map(({ authenticator }) => authenticator).join(', ');
    const commands = logins.map(({ username = '' }) => {
      return `\n  ${commandLine([verb, '--user', username, ...whatFor[verb]], configOption)}`;
    });
    throw new UsageError(
      `nothing was done: the token carries a password, for authenticator${logins.length === 1 ? '' : 's'} ${names}. ` +
        'Written in another way, such as with other capitals in the name, the same login is another token, so this command would ' +
        'stop no one. Name the user, as Kubernetes sees them (username in the log), and have the password changed. ' +
        `If the token has the name as the backend writes it:${commands.join('')}`,
    );
  }
  if (shapes.some(({ recognized }) => recognized)) return;
  process.stderr.write(
    'sallyport: no authenticator of this config has tokens of this shape: was the token cut or mistyped? It is done all the same\n',
  );
}

async function shapesOf(config: GatewayConfig, token: string): Promise<readonly Shape[]> {
  const logger = pino({ level: 'silent' });
  const attempts = createAttempts(() => config.lockout, { now: () => performance.now() });
  const created = await createAuthenticators(config, { logger, attempts });
  try {
    return created.map((one) => shapeOf(one, token));
  } finally {
    await Promise.all(created.map((one) => closeAuthenticator(one, logger)));
  }
}

/** @throws Error when the plugin throws, or gives neither a name nor undefined. The message quotes nothing of it */
function shapeOf({ config: { name, username }, authenticator }: CreatedAuthenticator, token: string): Shape {
  let typed: unknown;
  let recognized: boolean;
  try {
    typed = authenticator.claimedName?.(token);
    recognized = authenticator.recognizes?.(token) !== false;
  } catch {
    throw new Error(`claimedName() or recognizes() of authenticator ${name} threw`);
  }
  if (typed === undefined) return { authenticator: name, recognized };
  if (typeof typed !== 'string' || typed === '') {
    throw new Error(`claimedName() of authenticator ${name} gave neither a name nor undefined`);
  }
  return { authenticator: name, recognized: true, username: username.prefix + typed };
}
