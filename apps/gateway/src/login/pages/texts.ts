import { type Html, html } from './html.ts';

/** The texts of all pages. */

const command = html`<code>kubectl sallyport login</code>`;

const callAdministrator = 'If this continues, call your administrator.';

const startAgain = html`Start again: run ${command} in your terminal, or repeat what you did in the tool that opened this page.`;

export const attemptTexts = {
  logIn: (cluster: string | Html | undefined) =>
    cluster === undefined ? html`Log in` : html`Log in to ${cluster}`,
  user: 'User',
  provider: 'Logged in with',
  cluster: 'Cluster',
  device: 'Device name',
  address: 'Started from',
  error: 'Error',
  warning: 'Warning',
  otherAddress: (address: Html) =>
    html`This login was started from another address (${address}) than the address of this browser.`,
  closePage: 'If you did not start this login yourself, close this page.',
};

export const loginTexts = {
  withPassword: 'With username and password',
  withProvider: 'With single sign-on',
  username: 'Username',
  password: 'Password',
  submit: 'Log in',
  provider: (title: string) => `Log in with ${title}`,
};

/** The problems of a login. All refusals have one text: another one would show who has an account. */
export const problems = {
  'wrong-credentials': {
    title: 'Wrong name or password',
    text: 'The name or password is wrong, or this user is not allowed to log in.',
  },
  'too-many': {
    title: 'Too many attempts',
    text: 'There were too many attempts to log in. Wait a minute, then try again.',
  },
  unavailable: {
    title: 'Login not possible now',
    text: `The login can't be checked now. Try again in a minute. ${callAdministrator}`,
  },
  'provider-denied': {
    title: 'Login cancelled or refused',
    text: `The login at the provider was cancelled, or the provider refused it. Try again. ${callAdministrator}`,
  },
  'provider-unavailable': {
    title: 'Provider not available',
    text: `The provider can't be reached now. Try again in a minute. ${callAdministrator}`,
  },
  'provider-failed': {
    title: 'Login at the provider failed',
    text: `The provider's answer can't be used for this login. Try again. ${callAdministrator}`,
  },
  'provider-refused': {
    title: 'User not accepted',
    text: 'The provider logged you in, but this user is not allowed to log in here. Log in as another user, or call your administrator.',
  },
} as const;

export type LoginProblem = keyof typeof problems;

export const confirmTexts = {
  title: (logIn: Html) => html`Confirm - ${logIn}`,
  heading: (logIn: Html) => html`${logIn}?`,
  consequence:
    "If you continue, the device that started this login gets this user's access to the cluster.",
  notYours: 'If you did not start this login, cancel.',
  redirect: 'Log in',
  code: 'Show a code to paste',
  codeInstead: 'Show a code to paste instead',
  cancel: 'Cancel',
};

export const codeTexts = {
  title: (logIn: Html) => html`Copy the code - ${logIn}`,
  heading: 'Copy this code',
  code: 'Code',
  todo: 'Paste it where kubectl asks for it. It is valid for 60 seconds and only once. If it has expired, go back for another one.',
  warning:
    'Never give this code to anyone who called you or wrote to you. Only paste it into a terminal in which you started this login yourself.',
};

interface MessageTexts {
  readonly title: string;
  readonly text: string;
  readonly next: string | Html;
}

export const tryAgain = 'Try again';

export function waitText(seconds: number): string {
  const count = Math.max(1, Math.ceil(seconds));
  return `Wait ${count} ${count === 1 ? 'second' : 'seconds'}, then try again.`;
}

export const messages = {
  home: {
    title: 'Log in to Kubernetes',
    text: 'People log in to Kubernetes clusters at this server.',
    next: html`Run ${command} in your terminal. It opens the right page.`,
  },
  expired: {
    title: 'Login expired',
    text: 'This login has expired, or its link is not complete.',
    next: startAgain,
  },
  'unknown-cluster': {
    title: 'Unknown cluster',
    text: 'This login is for a cluster that this server does not know any more.',
    next: html`Add the cluster again: run <code>kubectl sallyport init</code> with its current name, or call your administrator.`,
  },
  used: {
    title: 'Login already finished',
    text: 'This login was completed or cancelled, or its code was not accepted. Its link is valid only once.',
    next: html`You can close this page. To log in again, run ${command} in your terminal.`,
  },
  cancelled: {
    title: 'Login cancelled',
    text: 'You cancelled this login. No one was logged in.',
    next: 'You can close this page. If you did not start this login yourself, report it to your administrator.',
  },
  'other-browser': {
    title: 'Other browser, or no cookies',
    text: 'This browser did not begin this login, the login has expired, or the browser does not keep cookies of this site.',
    next: 'Open the link in the browser in which you began, start again in the terminal, or allow cookies for this site.',
  },
  forbidden: {
    title: 'Request refused',
    text: 'The request did not come from a page of this login, or the address is not the address of this server.',
    next: html`${startAgain} Use the URL that your administrator gave you.`,
  },
  'not-found': {
    title: 'Page not found',
    text: 'There is no page at this address.',
    next: html`Check that the link is complete. To log in, run ${command} in your terminal.`,
  },
  'too-many': {
    title: 'Too many requests',
    text: 'There were too many requests from your address.',
    next: 'Wait a minute, then try again.',
  },
  unavailable: {
    title: 'Login not possible now',
    text: 'A server that the login needs does not answer.',
    next: 'Try again in a minute. If this continues, call your administrator.',
  },
  'bad-request': {
    title: 'Request not understood',
    text: 'The browser sent a request that this server does not understand.',
    next: startAgain,
  },
  error: {
    title: 'Internal error',
    text: 'The server could not answer because of an error of its own.',
    next: `Try again. ${callAdministrator} The server's log contains the error.`,
  },
} as const satisfies Readonly<Record<string, MessageTexts>>;

export type MessageKind = keyof typeof messages;
