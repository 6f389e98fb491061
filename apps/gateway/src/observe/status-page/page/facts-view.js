/** @import { StatusDocument } from '../collector.ts' */
import { element, moment } from './element.js';
import { certificateNames, counted, countText, span } from './words.js';

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
    [`${countText(gateway.inFlight)} of at most ${countText(gateway.maxInFlight)}`],
    [`Sallyport ${gateway.version}, started ${span(at - gateway.startedAt)} ago`],
  );
}

/** @param {StatusDocument} status */
function cacheFact({ cache, authenticators }) {
  /** @param {'memory' | 'redis' | 'stale' | 'backend'} name */
  const countFrom = (name) =>
    authenticators.reduce((sum, { history }) => sum + history.sum[name], 0);
  const backends = countFrom('backend');
  const counts = {
    memory: countFrom('memory'),
    Redis: countFrom('redis'),
    stale: countFrom('stale'),
    backends,
  };
  const total = Object.values(counts).reduce((sum, answers) => sum + answers, 0);
  /** @param {number} answers */
  const share = (answers) => (total === 0 ? '–' : `${Math.round((answers / total) * 100)}\u00a0%`);
  const shares = Object.entries(counts).map(([name, answers]) => `${name}\u00a0${share(answers)}`);
  const health = cache.redis?.circuitOpen ? 'unavailable: circuit open' : 'healthy';
  return fact(
    'Cache',
    [
      total === 0
        ? 'no answers yet'
        : `${share(total - backends)} of ${counted(total, 'answer')} came from the cache`,
    ],
    [shares.join(' · ')],
    [
      `${countText(cache.entries)} cached, of at most ${countText(cache.maxEntries)}; `,
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
  const { loggedIn, refused, unanswered, loggedOut, sessionsRefused } = login;
  return fact(
    'Logins',
    [
      `${countText(loggedIn)} since the start; ${countText(refused)} refused, ${countText(unanswered)} not answered`,
    ],
    [
      `${counted(loggedOut, 'session')} logged out, ${countText(sessionsRefused)} refused because of their user`,
    ],
    [
      element('code', {}, login.publicUrl),
      `: ${countText(login.inFlight)} of at most ${countText(login.maxInFlight)} in progress`,
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
