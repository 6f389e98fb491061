/** @import { CertificateStatus, StatusDocument } from '../document.ts' */
import { clock } from './element.js';
import { counted, span } from './words.js';

/** @typedef {{ level: 'warn' | 'bad', title: string, lines: readonly string[] }} Notice */

/** Milliseconds before the end of a certificate. The log has the same limit for its warnings. */
const expiresSoon = 14 * 24 * 60 * 60 * 1000;

/**
 * The problems of this replica, except those of authenticators.
 *
 * @param {StatusDocument} status
 * @returns {Notice[]}
 */
export function noticesOf({ at, config, blocking, cache, certificates, recent, gateway }) {
  /** @type {Notice[]} */
  const notices = config.refused.map(({ what, at: when, problems }) => ({
    level: 'bad',
    title: `${nameOfReload(what)} was refused at ${clock(new Date(when))}: the one before is still in use`,
    lines: problems,
  }));
  if (blocking.cutOff) {
    const lines = ['New blocks and revocations are not known here. Cached answers are used for 10 s at most.'];
    notices.push({ level: 'bad', title: 'Cut off from the revocation list', lines });
  } else if (cache.redis?.circuitOpen) {
    const lines = ['It is down or slow. Answers are cached only in this process, so backends are asked more often.'];
    notices.push({ level: 'warn', title: 'The circuit of the shared Redis is open', lines });
  }
  const overloaded = recent[0]?.outcome === 'overloaded' && at - recent[0].at < 60_000;
  if (overloaded) {
    const lines = [`${counted(gateway.inFlight, 'token review')} in progress, of at most ${gateway.maxInFlight}.`];
    notices.push({ level: 'bad', title: 'Overloaded: token reviews are refused with 429', lines });
  }
  return [...notices, ...certificates.flatMap((one) => noticeOfCertificate(one, certificates, at))];
}

/** @param {string} what */
function nameOfReload(what) {
  if (what === 'config') return 'The config on disk';
  return what === 'certificates' ? 'The certificate on disk' : `${what} on disk`;
}

/**
 * Of several client CAs the one that ends last counts: during a change of CA the file has the old and the new one.
 *
 * @param {CertificateStatus} one
 * @param {readonly CertificateStatus[]} all
 * @param {number} now
 * @returns {Notice[]}
 */
function noticeOfCertificate(one, all, now) {
  const left = one.endsAt - now;
  const outlived = all.some((other) => other.certificate === one.certificate && other.endsAt > one.endsAt);
  if (left > expiresSoon || outlived) return [];
  const title = `The ${nameOfCertificate(one)} certificate ${left < 0 ? 'has expired' : `expires in ${span(left)}`}`;
  return [{ level: left < 2 * 24 * 60 * 60 * 1000 ? 'bad' : 'warn', title, lines: [one.subject] }];
}

/** @param {CertificateStatus} one */
export function nameOfCertificate({ certificate }) {
  return certificate === 'server' ? 'server' : 'client CA';
}
