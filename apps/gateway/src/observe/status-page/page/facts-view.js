/** @import { StatusDocument } from '../collector.ts' */
import { element, moment } from './element.js';
import { certificateNames, count, counted, span } from './words.js';

/** Lists the facts about this replica, except its authenticators. @param {StatusDocument} status */
export function listFacts(status) {
  const facts = [configFact, loadFact, cacheFact, blockingFact, loginFact, certificateFact];
  return facts.flatMap((make) => make(status) ?? []);
}

/** @param {string} title @param {...(Node | string)[]} lines */
function fact(title, ...lines) {
  const texts = lines.map((line, index) =>
    element('p', index === 0 ? { class: 'lead' } : {}, ...line),
  );
  return element('section', { class: 'fact' }, element('h3', {}, title), ...texts);
}

/** @param {StatusDocument} status */
function configFact({ config, at }) {
  const state =
    config.refused.length === 0 ? 'the same as on disk' : 'the file on disk was refused';
  return fact(
    'Config',
    [element('code', {}, config.digest), `: ${state}`],
    [element('code', {}, config.file)],
    [`loaded ${span(at - config.loadedAt)} ago, at `, moment(config.loadedAt)],
  );
}

/** @param {StatusDocument} status */
function loadFact({ gateway, at }) {
  return fact(
    'Token reviews in progress',
    [`${count(gateway.inFlight)} of at most ${count(gateway.maxInFlight)}`],
    [`Sallyport ${gateway.version}, started ${span(at - gateway.startedAt)} ago`],
  );
}

/** @param {StatusDocument} status */
function cacheFact({ cache, authenticators }) {
  const answers = /** @type {const} */ (['memory', 'redis', 'stale', 'backend']).map((name) =>
    authenticators.reduce((sum, { history }) => sum + history.sum[name], 0),
  );
  const total = answers.reduce((sum, answersOfSource) => sum + answersOfSource, 0);
  const share = (answersOfSource = 0) =>
    total === 0 ? '–' : `${Math.round((answersOfSource / total) * 100)}\u00a0%`;
  const [memory, redis, stale, backends = 0] = answers;
  const hits = Object.entries({ memory, Redis: redis, stale, backends });
  const health = cache.redis?.circuitOpen ? 'unavailable: circuit open' : 'healthy';
  return fact(
    'Cache',
    [
      total === 0
        ? 'no answers yet'
        : `${share(total - backends)} of ${counted(total, 'answer')} came from the cache`,
    ],
    [hits.map(([words, answersOfSource]) => `${words}\u00a0${share(answersOfSource)}`).join(' · ')],
    [
      `${count(cache.entries)} cached, of at most ${count(cache.maxEntries)}; `,
      cache.redis === undefined ? 'no shared Redis' : `shared Redis ${health}`,
    ],
  );
}

/** @param {StatusDocument} status */
function blockingFact({ blocking: { blocked, lockedOut, listAge, cutOff } }) {
  const readText = listAge === null ? 'never read' : `read ${(listAge ?? 0).toFixed(1)}s ago`;
  const hasList = listAge !== undefined;
  const locked = `${counted(lockedOut, 'user is', 'users are')} locked out: sallyport lockouts`;
  return fact(
    'Blocked',
    [blocked === 0 ? 'none' : counted(blocked, 'user, group or token', 'users, groups or tokens')],
    [lockedOut === 0 ? 'no one is locked out' : locked],
    [
      hasList
        ? `list ${readText}${cutOff ? ': cut off' : ''}`
        : 'no shared Redis, so no list of all replicas',
    ],
  );
}

/** @param {StatusDocument} status */
function loginFact({ login }) {
  if (login === undefined) return undefined;
  const {
    publicUrl,
    inFlight,
    maxInFlight,
    loggedIn,
    refused,
    unanswered,
    loggedOut,
    sessionsRefused,
  } = login;
  return fact(
    'Logins',
    [
      `${count(loggedIn)} since the start; ${count(refused)} refused, ${count(unanswered)} not answered`,
    ],
    [
      `${counted(loggedOut, 'session')} logged out, ${count(sessionsRefused)} refused because of their user`,
    ],
    [
      element('code', {}, publicUrl),
      `: ${count(inFlight)} of at most ${count(maxInFlight)} in progress`,
    ],
  );
}

/** @param {StatusDocument} status */
function certificateFact({ certificates, at }) {
  if (certificates.length === 0) return fact('Certificates', ['none: plain HTTP on loopback']);
  const lines = certificates.flatMap((certificate) => {
    const remaining = certificate.endsAt - at;
    const end = remaining < 0 ? 'has expired, ' : `expires in ${span(remaining)}, `;
    return [
      [`${certificateNames[certificate.certificate]} ${end}`, moment(certificate.endsAt, 'date')],
      [certificate.subject],
    ];
  });
  return fact('Certificates', ...lines);
}
