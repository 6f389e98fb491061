/** @import { StatusDocument } from '../collector.ts' */
import { createChainView } from './chain-view.js';
import { byId, clock, createViewList, element, moment, setText } from './element.js';
import { listFacts } from './facts-view.js';
import { describeOverview, listNotices, sourceNames, took } from './words.js';

/** The milliseconds between two requests, and the time limit of one request. */
const interval = 2_000;
const timeout = 5_000;

const showChain = createChainView(byId('chain'));
const showNotices = createViewList(byId('notices'));
const showFacts = createViewList(byId('facts'));
const showRecent = createViewList(byId('recent'));

/** @param {StatusDocument} status */
function show(status) {
  const { level, title, text, spoken } = describeOverview(status);
  byId('overview').dataset.level = level;
  setText(byId('overview-title'), title);
  setText(byId('overview-text'), text);
  setText(byId('spoken'), spoken);
  document.title = `${level === 'good' ? '' : '! '}${title} – Sallyport`;
  showNotices(byText(listNotices(status).map(noticeItem)));
  byId('content').hidden = false;
  showChain(status);
  showFacts(byText(listFacts(status)));
  const { recent } = status;
  setText(
    byId('recent-note'),
    recent.length === 0 ? 'no reviews yet' : `the last ${recent.length}, newest first`,
  );
  showRecent(recent.map((review) => [review.id, () => ({ element: createRow(review) })]));
  document.body.classList.remove('lost');
  setText(byId('pulse'), `live · ${clock(status.at)}`);
}

/** @param {ReturnType<typeof listNotices>[number]} notice */
function noticeItem({ level, title, lines }) {
  const texts = lines.map((line) => element('p', {}, line));
  return element('li', { 'data-level': level }, element('strong', {}, title), ...texts);
}

/** @param {readonly HTMLElement[]} elements */
function byText(elements) {
  return elements.map(
    (node) => /** @type {const} */ ([node.textContent ?? '', () => ({ element: node })]),
  );
}

/** The text of an empty cell. */
const nothing = '–';

/** @param {StatusDocument['recent'][number]} review */
function createRow({ at, outcome, reason, authenticator, username, source, seconds, callerGone }) {
  const reasons = [reason, callerGone ? 'the caller did not wait' : undefined].filter(
    (text) => text !== undefined,
  );
  const word = element('span', { class: 'word' }, outcome);
  const shape = element('span', { class: 'shape', 'aria-hidden': 'true' });
  return element(
    'tr',
    { role: 'row', 'data-outcome': source === 'stale' ? 'stale' : outcome },
    cell('time', moment(at)),
    cell(
      'outcome',
      shape,
      word,
      ...(reasons.length > 0 ? [element('span', { class: 'reason' }, reasons.join('; '))] : []),
    ),
    cell('who', username ?? nothing),
    cell('by', authenticator ?? nothing),
    cell('from', authenticator === undefined ? nothing : sourceNames[source ?? 'backend']),
    cell('took', took(seconds)),
  );
}

/** @param {string} column @param {...(Node | string)} content */
function cell(column, ...content) {
  const empty = content[0] === nothing ? ' nothing' : '';
  return element('td', { role: 'cell', class: `c-${column}${empty}` }, ...content);
}

let lastAnswer = '';
/** @param {unknown} error */
function lost(error) {
  document.body.classList.add('lost');
  byId('overview').dataset.level = 'none';
  setText(byId('overview-title'), 'The gateway does not answer this page');
  const shown = lastAnswer === '' ? '' : ` What you see is from ${lastAnswer}.`;
  setText(
    byId('overview-text'),
    `${error instanceof Error ? error.message : 'no answer'}.${shown} Trying again.`,
  );
  setText(byId('pulse'), 'not live');
}

async function refresh() {
  try {
    const answer = await fetch('status.json', {
      cache: 'no-store',
      signal: AbortSignal.timeout(timeout),
    });
    if (!answer.ok) throw new Error(`It answered ${answer.status}`);
    show(await answer.json());
    lastAnswer = clock(Date.now());
  } catch (error) {
    lost(error);
  }
}

/** Sends one request at a time, and none while the page is hidden. */
async function follow() {
  for (;;) {
    if (!document.hidden) await refresh();
    await new Promise((resolve) => {
      if (document.hidden) document.addEventListener('visibilitychange', resolve, { once: true });
      else setTimeout(resolve, interval);
    });
  }
}

void follow();
