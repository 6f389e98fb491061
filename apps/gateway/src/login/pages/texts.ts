import { minutesText } from '../factors/totp.ts';
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
  outdated: {
    title: 'Log in again',
    text: 'This page belongs to an earlier step. If you have gone on in another tab, continue there. Otherwise, log in again.',
  },
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
  own: 'I started this login myself.',
  redirect: 'Log in',
  code: 'Show a code to paste',
  codeInstead: 'Show a code to paste instead',
  cancel: 'Cancel',
};

export const codeTexts = {
  title: (logIn: Html) => html`Copy the code - ${logIn}`,
  heading: 'Copy this code',
  code: 'Code',
  copy: 'Copy',
  copied: 'Copied',
  todo: 'Paste it where kubectl asks for it. It is valid for 60s and only once. If it has expired, go back for another one.',
  warning:
    'Never give this code to anyone who called you or wrote to you. Only paste it into a terminal in which you started this login yourself.',
};

export const visitTexts = {
  logIn: 'Log in to change your second factor',
  setUp: 'Log in to set up your second factor',
  change: 'Change your second factor',
};

export const factorTexts = {
  title: (logIn: string | Html) => html`Second factor - ${logIn}`,
  heading: 'Use your second factor',
  withCode: 'With a code',
  withPasskey: 'With a passkey',
  appOrRecoveryCode: 'Code from your authenticator app, or a recovery code',
  recoveryCode: 'Recovery code',
  submit: 'Continue',
  usePasskey: 'Use a passkey',
  withoutScript:
    'A passkey needs JavaScript, which this browser does not run here. A code works without it.',
  lost: 'If you have lost your second factor, use a recovery code, or call your administrator.',
};

/** Why a second factor was not accepted. */
export const factorProblems = {
  'wrong-code': {
    title: 'Wrong code',
    text: `The code is wrong, or was used before. Type the code that the app shows now: each code works once. ${callAdministrator}`,
  },
  'wrong-passkey': {
    title: 'Passkey not accepted',
    text: `The passkey was not accepted, or it took too long. Try again, or use a code. ${callAdministrator}`,
  },
  'too-many': {
    title: 'Too many attempts',
    text: `There were too many wrong codes or too many attempts. Wait a few minutes, then try again. ${callAdministrator}`,
  },
  unavailable: {
    title: 'Login not possible now',
    text: `The second factor can't be checked now. Try again in a minute. ${callAdministrator}`,
  },
} as const;

export type FactorProblem = keyof typeof factorProblems;

/** What the script shows if the browser returns no passkey. */
export const passkeyErrors = {
  unsupported:
    'This browser does not support passkeys. Use another browser, or an authenticator app.',
  cancelled:
    'The browser returned no passkey: it was cancelled, it took too long, or there is none on this device. Try again.',
  registered: 'This device already has a passkey of yours for this server.',
  failed: `The browser could not use a passkey. Try again, or use another browser. ${callAdministrator}`,
} as const;

const onlyFactor = 'This is your only second factor. To remove it, add another one first.';

export const factorsTexts = {
  heading: 'Your second factors',
  intro: 'You need one of these in addition to your password to log in.',
  none: 'You have no second factor yet. Add one.',
  methods: { totp: 'Authenticator app', passkey: 'Passkey' },
  method: 'Method',
  added: 'Added',
  used: 'Last used',
  neverUsed: 'Never',
  remove: 'Remove',
  only: onlyFactor,
  addApp: 'Add an authenticator app',
  addPasskey: 'Add a passkey',
  appName: 'Name of the app',
  passkeyName: 'Name of the passkey',
  submitApp: 'Add an app',
  submitPasskey: 'Add a passkey',
  withoutScript: 'To add a passkey, allow JavaScript for this site in your browser.',
  recovery: 'Recovery codes',
  recoveryLeft: (count: number) =>
    `You have ${count || 'no'} ${count === 1 ? 'recovery code' : 'recovery codes'} left. A recovery code works once, in place of your second factor.`,
  recoveryFew: 'Replace your recovery codes before you need one.',
  replace: 'Replace the recovery codes',
  replaced: 'If you replace them, the codes that you have now no longer work.',
  done: 'When you are done, close this page.',
};

export const factorNotices = {
  added: 'The second factor was added.',
  removed: html`The second factor was removed. Sessions that were made with it continue: to end them, run <code>kubectl sallyport logout --all</code>.`,
} as const;

export type FactorNotice = keyof typeof factorNotices;

/** Why second factors were not changed. */
export const factorsProblems = {
  last: { title: 'Not removed', text: onlyFactor },
  unknown: { title: 'Not removed', text: 'This second factor was removed before.' },
  duplicate: { title: 'Not added', text: 'This second factor was added before.' },
  'too-many-factors': {
    title: 'Not added',
    text: 'You have as many second factors of this kind as are allowed. Remove one first.',
  },
  'wrong-passkey': {
    title: 'Not added',
    text: `The passkey was not accepted, or it took too long. Try again. ${callAdministrator}`,
  },
  'too-many': {
    title: 'Too many attempts',
    text: 'There were too many attempts. Wait a minute, then try again.',
  },
} as const;

export type FactorsProblem = keyof typeof factorsProblems;

export const appTexts = {
  heading: 'Add an authenticator app',
  name: 'Name',
  scan: 'Scan this QR code with the app.',
  qrCode: 'QR code for an authenticator app',
  openApp: 'Open the app on this device',
  secret: 'Without a camera, type this secret into the app, as a time-based code with 6 digits.',
  typeCode: 'Type the code that the app shows now.',
  code: 'Code from the app',
  submit: 'Add this app',
  cancel: 'Cancel',
  wrongTitle: 'Wrong code',
  wrongCode:
    'The code is wrong. Type the code that the app shows now. If you added another secret to the app before, remove it there.',
  clockOff: (minutes: number) =>
    `The app has the right secret, but the clock of its device is ${minutesText(minutes)} ${minutes < 0 ? 'slow' : 'fast'}. Set the clock, then type the code that the app shows.`,
};

export const recoveryTexts = {
  heading: 'Your recovery codes',
  todo: 'A recovery code works once, in place of your second factor. Keep the codes where you keep passwords.',
  once: 'They are not shown again.',
  replaced: 'Earlier recovery codes do not work any more.',
  next: 'Continue to your second factors',
};

interface MessageTexts {
  readonly title: string;
  readonly text: string;
  readonly next: string | Html;
}

export const tryAgain = 'Try again';

export function waitText(seconds: number): string {
  return `Wait ${Math.max(1, Math.ceil(seconds))}s, then try again.`;
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
  'not-enrolled': {
    title: 'Second factor required',
    text: 'The password is right, but you need a second factor to log in here, and you have none yet.',
    next: 'Ask your administrator for an invitation to add a second factor. Then start this login again.',
  },
  'invitation-required': {
    title: 'Invitation required',
    text: 'You have no second factor yet. To add your first one, you need an invitation.',
    next: 'Ask your administrator for an invitation, and open its link.',
  },
  'wrong-invitation': {
    title: 'Invitation not valid',
    text: 'This invitation has expired, was used or replaced, or is for another user.',
    next: 'Log in as the user who was invited, or ask your administrator for a new invitation.',
  },
  'factors-ended': {
    title: 'Log in again',
    text: 'The time to change your second factors is over, or your administrator reset them or sent another invitation.',
    next: 'Begin again: open the page for second factors, or the link of your invitation.',
  },
  'no-second-factor': {
    title: 'No second factor here',
    text: 'This server has no second factors for this user.',
    next: html`Log in without one: run ${command} in your terminal. If you expected one, call your administrator.`,
  },
  'not-cancelled': {
    title: 'Login already finished',
    text: 'This login was completed, cancelled or begun again before you cancelled it.',
    next: 'If you did not start it yourself, report it to your administrator, who can end its session.',
  },
  'logged-in': {
    title: 'Logged in',
    text: 'You are logged in. The terminal or tool in which you started this login continues by itself.',
    next: 'You can close this page.',
  },
  'code-refused': {
    title: 'Not logged in',
    text: 'The code of this login was not accepted: it was used before, or has expired.',
    next: startAgain,
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
  outdated: {
    title: 'Page out of date',
    text: 'You have logged in since this page was opened, such as in another tab. Or the request did not come from a page of this login.',
    next: 'Continue in the other tab, or try again.',
  },
  'foreign-link': {
    title: 'Link of another site',
    text: 'Another website sent this browser to the login at a provider.',
    next: 'If you started this login yourself, open its page, and choose the provider there. Otherwise, close this page.',
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
