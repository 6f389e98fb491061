import { readCode, readReason } from '../failure.ts';

/**
 * Checks the URL that a login server wants the browser to open: a program of the system gets it, and a hostile server could name a
 * file, or an option of that program.
 *
 * @param server the URL of the login server: https, or http on this machine
 * @returns the URL as it is opened; undefined for any other place
 */
export function checkedUrl(text: unknown, server: string): string | undefined {
  if (typeof text !== 'string' || text.length > 8192 || !URL.canParse(text)) return;
  const { href } = new URL(text);
  const start = `${server}/login/`;
  return href.startsWith(start) && /^[\w.~-]+$/.test(href.slice(start.length)) ? href : undefined;
}

function findOpener(platform: NodeJS.Platform): [program: string, ...words: string[]] {
  if (platform === 'darwin') return ['open'];
  return platform === 'win32' ? ['rundll32', 'url.dll,FileProtocolHandler'] : ['xdg-open'];
}

/**
 * Opens a URL in the user's browser, which outlives this command and gets none of its streams: kubectl reads standard output.
 *
 * @param onFail gets the reason; a program that is missing is reported before the promise ends
 * @param over a program that fails after the end of the login is not reported: the browser has shown the page, or no one needs it
 * @returns whether the program was started
 */
export async function openBrowser(
  url: string,
  onFail: (reason: string) => void,
  over: AbortSignal,
  platform: NodeJS.Platform = process.platform,
): Promise<boolean> {
  const { spawn } = await import('node:child_process');
  const [program, ...words] = findOpener(platform);
  const child = spawn(program, [...words, url], { detached: true, stdio: 'ignore' });
  child.unref();
  return await new Promise((resolve) => {
    child
      .once('spawn', () => resolve(true))
      .once('error', (error) => {
        onFail(readCode(error) === 'ENOENT' ? `${program} is not installed` : readReason(error));
        resolve(false);
      })
      .once('exit', (code, signal) => {
        if (over.aborted) return;
        if (signal !== null) onFail(`${program} was ended by ${signal}`);
        else if (code !== 0) onFail(`${program} failed with exit status ${code}`);
      });
  });
}
