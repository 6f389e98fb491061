/** @import { AuthenticatorStatus, StatusDocument } from '../collector.ts' */
import { clock } from './element.js';

/** @typedef {'good' | 'warn' | 'bad' | 'none'} Level */

const number = new Intl.NumberFormat('en');

/** The names of the sources of answers. */
export const sourceNames = { memory: 'memory', redis: 'Redis', stale: 'stale', backend: 'backend' };

/** @param {number} value */
export function countText(value) {
  return number.format(value);
}

/** Writes `1 answer`, `12 answers`. @param {number} value @param {string} singular @param {string} many */
export function counted(value, singular, many = `${singular}s`) {
  return `${countText(value)} ${value === 1 ? singular : many}`;
}

/** Writes a time with three digits: `0.21ms`, `12.4ms`, `3.01s`. @param {number | null} seconds */
export function took(seconds) {
  if (seconds === null) return '–';
  const milliseconds = seconds * 1000;
  if (milliseconds < 0.01) return '<0.01ms';
  if (milliseconds < 999.5)
    return `${milliseconds.toPrecision(milliseconds < 0.1 ? 1 : milliseconds < 1 ? 2 : 3)}ms`;
  return `${seconds < 99.5 ? seconds.toPrecision(3) : Math.round(seconds)}s`;
}

/** Writes a duration in one unit, rounded down: `12s`, `3m`, `5h`, `63d`. @param {number} milliseconds */
export function span(milliseconds) {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 2 * 86_400) return `${Math.floor(seconds / 3600)}h`;
  return `${countText(Math.floor(seconds / 86_400))}d`;
}

/**
 * The milliseconds for which a failure that reviews met counts: a check, which runs at most every 10 s, has a result by
 * then.
 */
const checkedWithin = 15_000;

/**
 * Describes the state of an authenticator by a word and the reason.
 *
 * @param {AuthenticatorStatus} authenticator
 * @param {number} now
 * @returns {{ level: Level, word: string, why: string | undefined }}
 */
export function describeState(authenticator, now) {
  if (authenticator.circuit === 'open')
    return {
      level: 'bad',
      word: 'Circuit open',
      why: authenticator.outage?.reason ?? 'circuit open',
    };
  if (authenticator.circuit === 'half-open')
    return { level: 'warn', word: 'Circuit half-open', why: authenticator.outage?.reason };
  if (!authenticator.healthy)
    return { level: 'bad', word: 'Check fails', why: authenticator.reason };
  if (isWaiting(authenticator)) {
    const reason = authenticator.outage?.reason ?? authenticator.directory?.reason;
    return { level: 'bad', word: `Waits for ${authenticator.directory?.name}`, why: reason };
  }
  const hasFailed =
    authenticator.outage !== undefined && now - authenticator.outage.seenAt < checkedWithin;
  if (hasFailed) return { level: 'bad', word: 'Reviews fail', why: authenticator.outage?.reason };
  return { level: 'good', word: 'Healthy', why: authenticator.reason };
}

/** Whether its users can't be looked up, since their directory is down. @param {AuthenticatorStatus} one */
function isWaiting({ directory }) {
  return directory !== undefined && !directory.healthy;
}

/** @param {AuthenticatorStatus} authenticator */
function describeProblem(authenticator) {
  const { circuit, healthy, directory } = authenticator;
  if (circuit !== 'closed') return `circuit ${circuit}`;
  if (healthy && isWaiting(authenticator)) return `it waits for ${directory?.name}`;
  return healthy ? 'its last reviews failed' : 'its check fails';
}

/** @param {AuthenticatorStatus} one */
function fromCache({ circuit, cached, outage }) {
  return circuit === 'closed' || !cached
    ? ''
    : `, ${counted(outage?.stale ?? 0, 'answer')} from cache so far`;
}

/**
 * Writes the line at the top: whether users can log in. `spoken` is the title without the number, which changes all the
 * time.
 *
 * @param {StatusDocument} status
 * @returns {{ level: Level, title: string, text: string, spoken: string }}
 */
export function describeOverview({ at, gateway, authenticators, blocking }) {
  const down = authenticators.filter(
    (authenticator) => describeState(authenticator, at).level !== 'good',
  );
  const level = down.length === authenticators.length ? 'bad' : 'warn';
  const [firstDown, second] = down;
  if (gateway.state === 'stopping') {
    const text = 'Requests that still arrive are answered. New ones go to the other replicas.';
    return titled('warn', 'This replica is shutting down', text);
  }
  if (firstDown === undefined) {
    return blocking.listAge === null
      ? titled('warn', allHealthy(authenticators), 'Users might not be let in: see below.')
      : titled('good', allHealthy(authenticators), 'Users can log in.');
  }
  const text = consequence(down, authenticators);
  if (second === undefined) {
    return titled(
      level,
      `${firstDown.name} is unavailable: ${describeProblem(firstDown)}`,
      text,
      fromCache(firstDown),
    );
  }
  const names = down.map(({ name }) => name).join(', ');
  const total = authenticators.length;
  if (level === 'bad')
    return titled(level, `None of the ${total} authenticators is available`, text);
  return titled(level, `${down.length} of ${total} authenticators are unavailable: ${names}`, text);
}

/** @param {Level} level @param {string} spoken @param {string} text @param {string} details */
function titled(level, spoken, text, details = '') {
  return { level, title: `${spoken}${details}`, text, spoken };
}

/** @param {readonly AuthenticatorStatus[]} authenticators */
function allHealthy({ 0: authenticator, length }) {
  if (length === 1) return `${authenticator?.name} is healthy`;
  return length === 2
    ? 'Both authenticators are healthy'
    : `All ${length} authenticators are healthy`;
}

/** @param {readonly AuthenticatorStatus[]} down @param {readonly AuthenticatorStatus[]} authenticators */
function consequence(down, authenticators) {
  // Answers of a directory are cached even if the authenticator's own are not.
  const users = down.some((authenticator) => authenticator.cached || isWaiting(authenticator))
    ? 'Users who logged in recently may still get in with a cached answer. The tokens of all others can’t be checked.'
    : 'The tokens of its users can’t be checked.';
  const stop = down.find(
    (authenticator) => authenticator.onError === 'stop' && authenticator !== authenticators.at(-1),
  );
  if (stop !== undefined)
    return `${users} No authenticator after ${stop.name} is called (onError: stop).`;
  const healthyCount = authenticators.length - down.length;
  if (healthyCount === 0) return users;
  return `${users} ${healthyCount === 1 ? 'The other one is healthy.' : `The other ${healthyCount} are healthy.`}`;
}

/** @type {Readonly<Record<string, string>>} */
const reloadNames = { config: 'The config', certificates: 'The certificate' };

/** @typedef {{ level: 'warn' | 'bad', title: string, lines: readonly string[] }} Notice */

/**
 * The milliseconds before the end of a certificate in which it is a problem. The log has the same limit for its
 * warnings.
 */
const expiresSoon = 14 * 24 * 60 * 60 * 1000;

/** Lists the problems of this replica, without its authenticators. @param {StatusDocument} status @returns {Notice[]} */
export function listNotices({ at, config, blocking, cache, certificates, recent, gateway }) {
  /** @type {Notice[]} */
  const notices = config.refused.map(({ what: file, at: when, problems }) => ({
    level: 'bad',
    title: `${reloadNames[file] ?? file} on disk was refused at ${clock(when)}: the one before is still in use`,
    lines: problems,
  }));
  if (blocking.cutOff || blocking.listAge === null) {
    const cutOffText =
      'New blocks and revocations are not known here. Cached answers are used for 10s at most.';
    const neverReadText =
      'No revocation list was read since the start, so it is not known who is blocked. No one is let in, unless cache.redis.startWithoutBlocks is true.';
    const lines = [blocking.listAge === null ? neverReadText : cutOffText];
    notices.push({ level: 'bad', title: 'Cut off from the revocation list', lines });
  } else if (cache.redis?.circuitOpen) {
    const lines = [
      'It is down or slow. Answers are cached only in this process, so backends are called more often.',
    ];
    notices.push({ level: 'warn', title: 'The circuit of the shared Redis is open', lines });
  }
  if (recent[0]?.outcome === 'overloaded' && at - recent[0].at < 60_000) {
    const lines = [
      `${counted(gateway.inFlight, 'token review')} in progress, of at most ${gateway.maxInFlight}.`,
    ];
    notices.push({ level: 'bad', title: 'Overloaded: token reviews are refused with 429', lines });
  }
  return [...notices, ...certificateNotices(certificates, at)];
}

export const certificateNames = { server: 'server', 'client-ca': 'client CA', login: 'login' };

/** @param {StatusDocument['certificates']} certificates @param {number} now @returns {Notice[]} */
function certificateNotices(certificates, now) {
  // If there are several client CAs, the last to expire counts: during a change of CA the file has the old and the new
  // one.
  const last = certificates.filter(({ certificate, endsAt }) => {
    return !certificates.some((twin) => twin.certificate === certificate && twin.endsAt > endsAt);
  });
  const soon = last.filter(({ endsAt }) => endsAt - now <= expiresSoon);
  return soon.map(({ certificate, subject, endsAt }) => {
    const remaining = endsAt - now;
    const end = remaining < 0 ? 'has expired' : `expires in ${span(remaining)}`;
    const level = remaining < 2 * 24 * 60 * 60 * 1000 ? 'bad' : 'warn';
    return {
      level,
      title: `The ${certificateNames[certificate]} certificate ${end}`,
      lines: [subject],
    };
  });
}
