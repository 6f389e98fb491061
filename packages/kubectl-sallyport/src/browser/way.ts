import type { BrowserMode } from '../arguments.ts';
import { type Failure, usageFailure } from '../failure.ts';
import type { PasswordSource } from '../password.ts';
import { listClusters } from '../server/login-server.ts';
import type { ServerAddress } from '../server/request.ts';

/** What a command knows about the login that it needs. */
export interface Login {
  /** Undefined when there is no terminal. */
  readonly source: PasswordSource | undefined;
  readonly device: string;
  readonly mode: BrowserMode | undefined;
  /** kubectl runs the command, maybe in the background and several times. */
  readonly isPlugin: boolean;
}

/** What is around the command. */
export interface Place extends Pick<Login, 'mode' | 'isPlugin'> {
  readonly hasTerminal: boolean;
  /** A browser of this machine can be shown to the user. */
  readonly hasDisplay: boolean;
  /** No browser opens, unless the user asks for it. */
  readonly isForbidden: boolean;
}

/** How a login in a browser begins and ends. */
export interface BrowserWay {
  /** The command opens the browser. Otherwise the user does. */
  readonly opens: boolean;
  /** The browser may be on this machine, and brings the code. Otherwise the user pastes it. */
  readonly listens: boolean;
}

type Environment = Readonly<Record<string, string | undefined>>;

export function findPlace(
  { source, mode, isPlugin }: Login,
  env: Environment = process.env,
  platform: NodeJS.Platform = process.platform,
): Place {
  const { SALLYPORT_BROWSER: browser, SSH_CONNECTION, SSH_TTY, DISPLAY, WAYLAND_DISPLAY } = env;
  // A value that is not understood must not open what someone wanted to forbid.
  if (browser && browser !== 'never')
    throw usageFailure(
      'SALLYPORT_BROWSER: its only value is never',
      'set it to never, or unset it',
    );
  const ownsScreen = platform === 'darwin' || platform === 'win32';
  return {
    mode,
    isPlugin,
    isForbidden: browser === 'never',
    hasTerminal: source !== undefined,
    hasDisplay: !(SSH_CONNECTION || SSH_TTY) && (ownsScreen || Boolean(DISPLAY || WAYLAND_DISPLAY)),
  };
}

const mayOpen = ({ mode, hasDisplay, isForbidden }: Place) =>
  hasDisplay && (mode === 'browser' || (mode === undefined && !isForbidden));

/** Says whether a user can log in from here. No server has to be asked for that. */
export function canLogIn(place: Place): boolean {
  const { mode, isPlugin, hasTerminal, hasDisplay } = place;
  // Someone reads the URL.
  const isShown = mode === 'print-url' || (mode !== 'no-browser' && !isPlugin);
  return hasTerminal || mayOpen(place) || (hasDisplay && isShown);
}

/**
 * Chooses how to log in.
 *
 * @param server says which ways it allows
 * @returns undefined for a password at the terminal, if there is one
 */
export function chooseWay(
  place: Place,
  server: { readonly browser: boolean; readonly passwords: boolean },
): BrowserWay | undefined {
  const { mode, hasTerminal, hasDisplay } = place;
  if (!server.browser || mode === 'no-browser' || !canLogIn(place)) return;
  const opens = mayOpen(place);
  const isAsked = mode === undefined && hasTerminal && !opens && server.passwords;
  return isAsked ? undefined : { opens, listens: hasDisplay };
}

/** Asks the server for its ways to log in. @throws Failure when an option names another one */
export async function listWays(server: ServerAddress, { mode }: Place) {
  const offer = await listClusters(server);
  if (mode === 'no-browser' && !offer.passwords) {
    const problem = `${server.url}: it doesn't accept passwords, only logins with a browser`;
    throw usageFailure(problem, 'leave out --no-browser');
  }
  if (mode !== undefined && mode !== 'no-browser' && !offer.browser) throw noBrowserLogin(server);
  return offer;
}

export function noBrowserLogin({ url }: ServerAddress): Failure {
  return usageFailure(
    `${url}: it doesn't offer logins with a browser`,
    'leave out --browser and --print-url, or ask your administrator for login.browser: true',
  );
}
