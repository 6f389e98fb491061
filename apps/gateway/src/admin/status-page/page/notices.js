/** @import { CertificateStatus, StatusDocument } from '../document.ts' */
import { clock } from './element.js';
import { counted, span } from './words.js';

/** @typedef {{ level: 'warn' | 'bad', title: string, lines: readonly string[] }} Notice */

/** Milliseconds: as long before its end a certificate is worth a word in the log, too. */
const endsSoon = 14 * 24 * 60 * 60 * 1000;

/**
 * What needs a look, apart from the authenticators.
 *
 * @param {StatusDocument} status
 * @returns {Notice[]}
 */
export function noticesOf({ at, config, stopping, cache, certificates, recent, gateway }) {
  /** @type {Notice[]} */
  const notices = config.refused.map(({ what, at: when, problems }) => ({
    level: 'bad',
    title: `${nameOfReload(what)} was refused at ${clock(new Date(when))}: what ran before still runs`,
    lines: problems,
  }));
  if (stopping.cutOff) {
    const lines = ['Blocks and revocations made meanwhile are not known here; kept answers are used for 10 s at most.'];
    notices.push({ level: 'bad', title: 'Cut off from the revocation list', lines });
  } else if (cache.redis?.leftAlone) {
    const lines = ['It is down or slow. Answers are kept in this process alone; backends are asked more often.'];
    notices.push({ level: 'warn', title: 'The shared Redis is left alone', lines });
  }
  const overloaded = recent[0]?.outcome === 'overloaded' && at - recent[0].at < 60_000;
  if (overloaded) {
    const lines = [`${counted(gateway.inFlight, 'review')} under way of at most ${gateway.maxInFlight}.`];
    notices.push({ level: 'bad', title: 'Overloaded: reviews are refused with 429', lines });
  }
  return [...notices, ...certificates.flatMap((one) => noticeOfCertificate(one, certificates, at))];
}

/** @param {string} what */
function nameOfReload(what) {
  if (what === 'config') return 'The config on disk';
  return what === 'certificates' ? 'The certificate on disk' : `${what} on disk`;
}

/**
 * Of several client CAs the one that ends last counts: during a change of CA the old one stands beside the new one.
 *
 * @param {CertificateStatus} one
 * @param {readonly CertificateStatus[]} all
 * @param {number} now
 * @returns {Notice[]}
 */
function noticeOfCertificate(one, all, now) {
  const left = one.endsAt - now;
  const outlived = all.some((other) => other.certificate === one.certificate && other.endsAt > one.endsAt);
  if (left > endsSoon || outlived) return [];
  const title = `The ${nameOfCertificate(one)} certificate ${left < 0 ? 'has ended' : `ends in ${span(left)}`}`;
  return [{ level: left < 2 * 24 * 60 * 60 * 1000 ? 'bad' : 'warn', title, lines: [one.subject] }];
}

/** @param {CertificateStatus} one */
export function nameOfCertificate({ certificate }) {
  return certificate === 'server' ? 'server' : 'client CA';
}
