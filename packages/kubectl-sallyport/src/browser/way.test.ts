import { expect, test } from 'vitest';
import { canLogIn, chooseWay, findPlace, type Login } from './way.ts';

const login: Login = { source: undefined, device: 'x', mode: undefined, isPlugin: false };

test.each([
  { platform: 'linux', env: {}, expected: false },
  { platform: 'linux', env: { DISPLAY: '' }, expected: false },
  { platform: 'linux', env: { DISPLAY: ':0' }, expected: true },
  { platform: 'linux', env: { WAYLAND_DISPLAY: 'wayland-0' }, expected: true },
  {
    platform: 'linux',
    env: { DISPLAY: 'localhost:10.0', SSH_CONNECTION: '192.0.2.1 1 192.0.2.2 22' },
    expected: false,
  },
  { platform: 'linux', env: { DISPLAY: 'localhost:10.0', SSH_TTY: '/dev/pts/0' }, expected: false },
  { platform: 'darwin', env: {}, expected: true },
  { platform: 'darwin', env: { SSH_CONNECTION: '192.0.2.1 1 192.0.2.2 22' }, expected: false },
  { platform: 'win32', env: {}, expected: true },
  { platform: 'win32', env: { SSH_CONNECTION: '192.0.2.1 1 192.0.2.2 22' }, expected: false },
] as const)(
  'on $platform with $env, a browser can be shown: $expected',
  ({ platform, env, expected }) => {
    expect(findPlace(login, env, platform).hasDisplay).toBe(expected);
  },
);

test('SALLYPORT_BROWSER has one value, and another one forbids nothing by mistake', () => {
  const forbids = (value: string) => findPlace(login, { SALLYPORT_BROWSER: value }).isForbidden;
  expect([forbids('never'), forbids('')]).toEqual([true, false]);
  expect(() => forbids('no')).toThrow('SALLYPORT_BROWSER: its only value is never');
});

const both = { browser: true, passwords: true };
const pagesOnly = { browser: true, passwords: false };
const passwordsOnly = { browser: false, passwords: true };

const opens = { opens: true, listens: true };
const shows = { opens: false, listens: true };
const pastes = { opens: false, listens: false };
const password = 'a password, if there is a terminal';
const none = 'no way';

type Mode = Login['mode'];

/** The letters are for a terminal, a display, a plugin, and SALLYPORT_BROWSER=never. */
function place(letters: string, mode?: Mode) {
  const has = (letter: string) => letters.includes(letter);
  return {
    mode,
    isPlugin: has('p'),
    hasTerminal: has('t'),
    hasDisplay: has('d'),
    isForbidden: has('n'),
  };
}

test.each<[string, Mode, typeof both, object | string]>([
  ['td', undefined, both, opens],
  ['tdp', undefined, both, opens],
  ['d', undefined, both, opens],
  ['dp', undefined, both, opens],
  ['t', undefined, both, password],
  ['tp', undefined, both, password],
  ['t', undefined, pagesOnly, pastes],
  ['tp', undefined, pagesOnly, pastes],
  ['', undefined, both, none],
  ['p', undefined, pagesOnly, none],
  // Nothing opens.
  ['tdn', undefined, both, password],
  ['tdpn', undefined, both, password],
  ['tdn', undefined, pagesOnly, shows],
  ['dn', undefined, both, shows],
  ['dpn', undefined, both, none],
  // The server has no pages.
  ['td', undefined, passwordsOnly, password],
  ['d', undefined, passwordsOnly, password],
  ['dp', undefined, passwordsOnly, password],
  // Options.
  ['td', 'browser', both, opens],
  ['tdn', 'browser', both, opens],
  ['dpn', 'browser', both, opens],
  ['t', 'browser', both, pastes],
  ['', 'browser', both, none],
  ['td', 'print-url', both, shows],
  ['d', 'print-url', both, shows],
  ['dp', 'print-url', both, shows],
  ['t', 'print-url', both, pastes],
  ['', 'print-url', both, none],
  ['td', 'no-browser', both, password],
  ['t', 'no-browser', both, password],
  ['d', 'no-browser', both, none],
  ['dp', 'no-browser', both, none],
])('with %j, the option %s and a server with %j', (letters, mode, server, expected) => {
  const where = place(letters, mode);
  const chosen = canLogIn(where) ? (chooseWay(where, server) ?? password) : none;
  expect(chosen).toEqual(expected);
});
