export { isHostName } from './host-name.ts';
export { oneLine } from './one-line.ts';
export type { Parsed } from './parsed.ts';
export { parseCertificates, parsePrivateKey, tlsFileLimit } from './pem.ts';
export { type Complain, section } from './section.ts';
export { settleTls, type TlsKeys, type TlsOptions, type TlsShape, type TlsUse, tlsShape } from './tls.ts';
export { type TlsSettings, watchTlsFiles } from './tls-files.ts';
export { explainTls, isTlsError, type TlsPeer } from './tls-problem.ts';
export { durationPattern, parseDuration, parseSize, sizePattern } from './units.ts';
export {
  choice,
  count,
  type DurationBounds,
  duration,
  flag,
  list,
  longestDuration,
  oneOrMore,
  parseText,
  path,
  value,
} from './values.ts';
