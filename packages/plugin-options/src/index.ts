export { bounded, pause, type WaitBounds, within } from './deadlines.ts';
export {
  type AnswerOptions,
  AnswerTooBig,
  callHttp,
  explainHttpError,
  type HttpAnswer,
  parseJson,
} from './exchange.ts';
export {
  ageText,
  durationText,
  isHostName,
  isLoopback,
  oneLine,
  type Parsed,
  parseDuration,
  parseText,
} from './text.ts';
export { settleTls, type TlsKeys, type TlsOptions, type TlsShape, type TlsUse, tlsShape } from './tls.ts';
export {
  isAnchor,
  isIssuedBy,
  parseAuthorities,
  parseCertificates,
  parsePrivateKey,
  type TlsSettings,
  tlsFileLimit,
  watchTlsFiles,
} from './tls-files.ts';
export { explainTls, isTlsError, type TlsPeer } from './tls-problem.ts';
export { readUnverifiedJwt, type UnverifiedJwt, whyUnknownIssuer } from './unverified-jwt.ts';
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
  section,
  size,
  value,
} from './values.ts';
