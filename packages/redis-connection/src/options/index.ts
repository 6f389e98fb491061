export {
  type ConnectionKeys,
  type ConnectionShape,
  type ConnectionUse,
  connectionShape,
  settleConnection,
} from './connection.ts';
export { type LoginKeys, settleLogin } from './login.ts';
export { isClearText, type ServerUrl, type SocketUrl } from './server-url.ts';
export { type ClearTextTerms, secret, serverUrl, settleUrl, word } from './servers.ts';
