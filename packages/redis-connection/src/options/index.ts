export { connectionShape, settleConnection, settleLogin } from './connection.ts';
export { isClearText, type ServerUrl, type SocketUrl } from './server-url.ts';
export { type ClearTextTerms, secret, serverUrl, settleUrl, word } from './servers.ts';
