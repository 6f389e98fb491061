/** @import { StatusDocument } from '../document.ts' */
import { element, moment } from './element.js';
import { nameOfCertificate } from './notices.js';
import { count, counted, span } from './words.js';

/** @typedef {readonly [title: string, ...lines: readonly (Node | string)[][]]} Fact */

/**
 * What is known of this replica, except its authenticators.
 *
 * @param {StatusDocument} status
 * @returns {HTMLElement[]}
 */
export function factsOf(status) {
  const facts = [
    configFact(status),
    loadFact(status),
    cacheFact(status),
    blockingFact(status),
    ...(status.login === undefined ? [] : [loginFact(status.login)]),
    certificateFact(status),
  ];
  return facts.map(([title, ...lines]) =>
    element(
      'section',
      { class: 'fact' },
      element('h3', {}, title),
      ...lines.map((line, index) => element('p', index === 0 ? { class: 'lead' } : {}, ...line)),
    ),
  );
}

/** @param {StatusDocument} status @returns {Fact} */
function configFact({ config, at }) {
  const state = config.refused.length === 0 ? 'the same as on disk' : 'the file on disk was refused';
  return [
    'Config',
    [element('code', {}, config.digest), `: ${state}`],
    [element('code', {}, config.file)],
    [`loaded ${span(at - config.loadedAt)} ago, at `, moment(config.loadedAt)],
  ];
}

/** @param {StatusDocument} status @returns {Fact} */
function loadFact({ gateway, at }) {
  return [
    'Token reviews in progress',
    [`${count(gateway.inFlight)} of at most ${count(gateway.maxInFlight)}`],
    [`Sallyport ${gateway.version}, started ${span(at - gateway.startedAt)} ago`],
  ];
}

/** @param {StatusDocument} status @returns {Fact} */
function cacheFact({ cache, authenticators }) {
  const total = (/** @type {'memory' | 'redis' | 'stale' | 'backend'} */ name) =>
    authenticators.reduce((sum, { history }) => sum + history.sum[name], 0);
  const parts = /** @type {const} */ ([
    ['memory', 'memory'],
    ['redis', 'Redis'],
    ['stale', 'stale'],
    ['backend', 'backends'],
  ]);
  const all = parts.reduce((sum, [name]) => sum + total(name), 0);
  const share = (/** @type {number} */ part) => `${Math.round((part / all) * 100)}\u00a0%`;
  const hits = parts.map(([name, words]) => `${words}\u00a0${share(total(name))}`).join(' · ');
  const redis =
    cache.redis === undefined
      ? 'no shared Redis'
      : `shared Redis ${cache.redis.circuitOpen ? 'unavailable: circuit open' : 'healthy'}`;
  return [
    'Cache',
    [
      all === 0
        ? 'no answers yet'
        : `${share(all - total('backend'))} of ${counted(all, 'answer')} came from the cache`,
    ],
    [all === 0 ? 'memory – · Redis – · stale – · backends –' : hits],
    [`${count(cache.entries)} cached, of at most ${count(cache.maxEntries)}; ${redis}`],
  ];
}

/** @param {StatusDocument} status @returns {Fact} */
function blockingFact({ blocking: { blocked, lockedOut, listAge, cutOff } }) {
  const read = listAge === null ? 'never read' : `read ${(listAge ?? 0).toFixed(1)} s ago`;
  const list =
    listAge === undefined ? 'no shared Redis, so no list of all replicas' : `list ${read}${cutOff ? ': cut off' : ''}`;
  return [
    'Blocked',
    [blocked === 0 ? 'none' : counted(blocked, 'user, group or token', 'users, groups or tokens')],
    [
      lockedOut === 0
        ? 'no one is locked out'
        : `${counted(lockedOut, 'user is', 'users are')} locked out: sallyport lockouts`,
    ],
    [list],
  ];
}

/** @param {NonNullable<StatusDocument['login']>} login @returns {Fact} */
function loginFact({ publicUrl, inFlight, maxInFlight, loggedIn, refused, unanswered, loggedOut, sessionsRefused }) {
  const ended = `${counted(loggedOut, 'session')} logged out, ${count(sessionsRefused)} refused because of their user`;
  return [
    'Logins',
    [`${count(loggedIn)} since the start; ${count(refused)} refused, ${count(unanswered)} not answered`],
    [ended],
    [element('code', {}, publicUrl), `: ${count(inFlight)} of at most ${count(maxInFlight)} in progress`],
  ];
}

/** @param {StatusDocument} status @returns {Fact} */
function certificateFact({ certificates, at }) {
  const [first, ...others] = certificates.map((one) => {
    const left = one.endsAt - at;
    const end = left < 0 ? 'has expired, ' : `expires in ${span(left)}, `;
    return { lead: [`${nameOfCertificate(one)} ${end}`, moment(one.endsAt, 'date')], subject: one.subject };
  });
  if (first === undefined) return ['Certificates', ['none: plain HTTP on loopback']];
  return ['Certificates', first.lead, [first.subject], ...others.flatMap(({ lead, subject }) => [lead, [subject]])];
}
