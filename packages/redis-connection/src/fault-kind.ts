/** What kind of trouble it was: a label of metrics, so a closed set. */
export type FaultKind =
  | 'timeout'
  | 'connection'
  | 'tls'
  | 'authentication'
  | 'permission'
  | 'type'
  /** A cluster as a whole. */
  | 'cluster'
  /** One node of a cluster, and the keys that it has. The others are well. */
  | 'node'
  | 'server'
  /** This machine or process ran short of something: no outage of Redis. */
  | 'local';
