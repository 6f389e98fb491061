/** @import { StatusDocument } from '../document.ts' */
import { createChainView } from './chain-view.js';
import { byId, clock, element, setText } from './element.js';
import { factsOf } from './facts-view.js';
import { createRecentView } from './recent-view.js';
import { noticesOf, verdict } from './words.js';

/** Milliseconds between two requests, and for one request. */
const interval = 2_000;
const timeout = 5_000;

const chain = createChainView(byId('chain'));
const recent = createRecentView(byId('recent'));

/** @param {StatusDocument} status */
function show(status) {
  const { level, title, text, spoken } = verdict(status);
  byId('verdict').dataset.level = level;
  setText(byId('verdict-title'), title);
  setText(byId('verdict-text'), text);
  setText(byId('spoken'), spoken);
  document.title = `${level === 'good' ? '' : '! '}${title} – Sallyport`;
  showNotices(status);
  byId('content').hidden = false;
  chain.update(status);
  showFacts(status);
  setText(
    byId('recent-note'),
    status.recent.length === 0 ? 'no reviews yet' : `the last ${status.recent.length}, newest first`,
  );
  recent.update(status.recent);
  document.body.classList.remove('lost');
  setText(byId('pulse'), `live · ${clock(new Date(status.at))}`);
}

/** @param {StatusDocument} status */
function showNotices(status) {
  const list = byId('notices');
  const made = noticesOf(status).map(({ level, title, lines }) =>
    element(
      'li',
      { 'data-level': level },
      element('strong', {}, title),
      ...lines.map((line) => element('p', {}, line)),
    ),
  );
  // Screen readers read them when they change, not each time.
  if (list.textContent !== made.map((one) => one.textContent).join('')) list.replaceChildren(...made);
}

/**
 * Replaces only what has changed, so that a selected text is not lost.
 *
 * @param {StatusDocument} status
 */
function showFacts(status) {
  const list = byId('facts');
  for (const [index, fact] of factsOf(status).entries()) {
    const shown = list.children[index];
    if (shown === undefined) list.append(fact);
    else if (shown.textContent !== fact.textContent) shown.replaceWith(fact);
  }
}

let lastAnswer = '';
/** @param {unknown} error */
function lost(error) {
  document.body.classList.add('lost');
  byId('verdict').dataset.level = 'none';
  setText(byId('verdict-title'), 'The gateway does not answer this page');
  const shown = lastAnswer === '' ? '' : ` What you see is from ${lastAnswer}.`;
  setText(byId('verdict-text'), `${error instanceof Error ? error.message : 'no answer'}.${shown} Trying again.`);
  setText(byId('pulse'), 'not live');
}

async function refresh() {
  try {
    const answer = await fetch('status.json', { cache: 'no-store', signal: AbortSignal.timeout(timeout) });
    if (!answer.ok) throw new Error(`It answered ${answer.status}`);
    show(await answer.json());
    lastAnswer = clock(new Date());
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

matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => chain.redraw());
void follow();
