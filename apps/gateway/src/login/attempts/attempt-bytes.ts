import { createHash, randomBytes } from 'node:crypto';
import { isIP } from 'node:net';
import { z } from 'zod';
import { nameNetwork } from '../../http/socket-limit.ts';

/** What a URL has of a login that a client has begun, or of a person's visit to change their second factors. */
export interface AttemptFields {
  /** When it ends, in milliseconds since 1970. A URL has whole seconds. */
  readonly until: number;
  /** See `shortenChallenge`. '' for a visit: no client can redeem anything. */
  readonly challenge: string;
  /** The address that began it; of IPv6, its network, in which one machine takes any address that it likes. */
  readonly address: string;
  /** The port on 127.0.0.1 at which the client waits for the code. Undefined: the page shows the code. */
  readonly port?: number | undefined;
  readonly cluster?: string | undefined;
  readonly device?: string | undefined;
  /** The name that the client proposes. */
  readonly username?: string | undefined;
  /** Set for a visit. */
  readonly manages?: { readonly invitation?: string | undefined } | undefined;
}

/**
 * The size of a challenge in bytes. Who has seen a code and its URL, and wants the session, must find a text with this digest within
 * 60s: 2^128 tries. Two texts with one digest (2^64 tries) help no one, since the client that chooses them has the session anyway.
 */
const challengeLength = 16;

/** Shortens a digest in base64url to the part that a URL has. */
export function shortenChallenge(digest: string): string {
  return Buffer.from(digest, 'base64url').toString('base64url', 0, challengeLength);
}

/**
 * The places of the values, in bytes. With the 12 bytes of `sealShort`, an attempt has 47 bytes, which are 63 characters of a URL. The
 * texts behind them make it longer: a client that prints the URL leaves out the device, and `username` is there only if someone names it.
 */
const places = { kind: 0, until: 1, port: 5, cluster: 7, address: 11, challenge: 19, texts: 35 };

/** The bits of the first byte. */
const kinds = { ipv4: 1, ipv6: 2, visit: 4 };

const texts = z.array(z.string().nullable()).max(3);

/** Writes an attempt. It contains something that is random: the challenge, or a number in its place. */
export function packAttempt(attempt: AttemptFields): Buffer {
  const { until, challenge, port = 0, cluster, device, username, manages } = attempt;
  const bytes = Buffer.alloc(places.texts);
  const address = packAddress(attempt.address);
  bytes.writeUInt8(address.kind | (manages === undefined ? 0 : kinds.visit), places.kind);
  bytes.writeUInt32BE(Math.floor(until / 1_000), places.until);
  bytes.writeUInt16BE(port, places.port);
  bytes.set(digestCluster(cluster), places.cluster);
  bytes.set(address.bytes, places.address);
  const unique = manages === undefined ? Buffer.from(challenge, 'base64url') : randomBytes(16);
  if (unique.length !== challengeLength) throw new Error('a challenge has another length');
  bytes.set(unique, places.challenge);
  const values = [username ?? null, device ?? null, manages?.invitation ?? null];
  while (values.at(-1) === null) values.pop();
  return values.length === 0 ? bytes : Buffer.concat([bytes, Buffer.from(JSON.stringify(values))]);
}

/**
 * Reads what `packAttempt` has written.
 *
 * @param clusters the names of the config
 * @returns `unknown-cluster` if its cluster is none of them
 */
export function unpackAttempt(
  bytes: Buffer,
  clusters: readonly string[],
): AttemptFields | 'unknown-cluster' {
  const kind = bytes.readUInt8(places.kind);
  const digest = bytes.subarray(places.cluster, places.address);
  const [cluster, ...namesakes] = [undefined, ...clusters]
    .filter((name) => digestCluster(name).equals(digest))
    .map((name) => ({ name }));
  // Two names with one digest, once in 4 billion pairs: no one logs in to a cluster that they did not name.
  if (cluster === undefined || namesakes.length > 0) return 'unknown-cluster';
  const end = bytes.subarray(places.texts);
  const [username, device, invitation] = texts.parse(
    end.length === 0 ? [] : JSON.parse(end.toString()),
  );
  const isVisit = (kind & kinds.visit) !== 0;
  return {
    until: bytes.readUInt32BE(places.until) * 1_000,
    challenge: isVisit ? '' : bytes.toString('base64url', places.challenge, places.texts),
    address: unpackAddress(kind, bytes.subarray(places.address, places.challenge)),
    port: bytes.readUInt16BE(places.port) || undefined,
    cluster: cluster.name,
    device: device ?? undefined,
    username: username ?? undefined,
    manages: isVisit ? { invitation: invitation ?? undefined } : undefined,
  };
}

/** Returns the part of the digest of a cluster's name that a URL has: names are long. */
function digestCluster(cluster: string | undefined): Buffer {
  const size = places.address - places.cluster;
  if (cluster === undefined) return Buffer.alloc(size);
  return createHash('sha256').update(cluster).digest().subarray(0, size);
}

function packAddress(address: string): { readonly kind: number; readonly bytes: Buffer } {
  const network = nameNetwork(address);
  if (isIP(network) === 4)
    return { kind: kinds.ipv4, bytes: Buffer.from(network.split('.').map(Number)) };
  const [groups = '', size] = network.split('::/');
  if (size === undefined) return { kind: 0, bytes: Buffer.alloc(0) };
  const words = groups.split(':').map((group) => Number.parseInt(group, 16));
  return { kind: kinds.ipv6, bytes: Buffer.from(words.flatMap((word) => [word >> 8, word & 255])) };
}

/** @returns '' if the client had closed its connection, which then had no address */
function unpackAddress(kind: number, bytes: Buffer): string {
  if ((kind & kinds.ipv4) !== 0) return bytes.subarray(0, 4).join('.');
  if ((kind & kinds.ipv6) === 0) return '';
  const groups = [0, 2, 4, 6].map((offset) => bytes.readUInt16BE(offset).toString(16));
  return `${groups.join(':')}::/64`;
}
