export { bounded, pause, type WaitBounds, within } from './deadlines.ts';
export {
  type AnswerOptions,
  AnswerTooBig,
  callHttp,
  explainHttpError,
  type HttpAnswer,
  parseJson,
} from './http.ts';
export {
  settleTls,
  type TlsKeys,
  type TlsOptions,
  type TlsShape,
  type TlsUse,
  tlsShape,
} from './tls/tls.ts';
export {
  isAnchor,
  isIssuedBy,
  parseAuthorities,
  parseCertificates,
  parsePrivateKey,
  type TlsSettings,
  tlsFileLimit,
  watchTlsFiles,
} from './tls/tls-files.ts';
export { explainTls, isTlsError, type TlsPeer } from './tls/tls-problem.ts';
export {
  ageText,
  durationText,
  isHostName,
  isLoopback,
  oneLine,
  type ParseResult,
  parseDuration,
  parsePattern,
  parseText,
} from './values/text.ts';
export {
  readUnverifiedJwt,
  type UnverifiedJwt,
  whyUnknownIssuer,
} from './values/unverified-jwt.ts';
export {
  type Bounds,
  type Complain,
  choice,
  count,
  duration,
  flag,
  list,
  oneOrMore,
  path,
  secret,
  section,
  size,
  text,
  value,
} from './values/values.ts';
