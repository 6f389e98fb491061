/** @import { AuthenticatorStatus, StatusDocument } from '../document.ts' */
import { element, setText } from './element.js';
import { createPlot, decisions, kinds, latency } from './plots.js';
import { count, span, stateOf } from './words.js';

/**
 * One authenticator's card.
 *
 * @typedef {object} Card
 * @property {HTMLElement} element
 * @property {(one: AuthenticatorStatus, status: StatusDocument) => void} update
 * @property {() => void} redraw
 */

/** The sources of an answer. */
const sources = /** @type {const} */ ([
  ['memory', 'memory'],
  ['redis', 'Redis'],
  ['backend', 'backend'],
]);

/**
 * The cards, in the order of the chain. A card stays as long as its authenticator, so that nothing flickers.
 *
 * @param {HTMLElement} list
 */
export function createChainView(list) {
  /** @type {Map<string, Card>} */
  const cards = new Map();
  return {
    /** @param {StatusDocument} status */
    update(status) {
      const names = status.authenticators.map(({ name }) => name);
      for (const [name, card] of cards) {
        if (names.includes(name)) continue;
        card.element.remove();
        cards.delete(name);
      }
      list.classList.toggle('compact', names.length > 4);
      for (const [index, one] of status.authenticators.entries()) {
        const card = cards.get(one.name) ?? createCard(one.name);
        cards.set(one.name, card);
        if (list.children[index] !== card.element) list.insertBefore(card.element, list.children[index] ?? null);
        card.update(one, status);
      }
    },
    redraw() {
      for (const card of cards.values()) card.redraw();
    },
  };
}

/**
 * @param {string} name
 * @returns {Card}
 */
function createCard(name) {
  const word = element('span', { class: 'word' });
  const state = element('p', { class: 'state' }, element('span', { class: 'shape', 'aria-hidden': 'true' }), word);
  const made = element('p', { class: 'package' });
  const why = element('p', { class: 'why' });
  const plots = [decisions, latency].map(createPlot);
  const figures = createFigures();
  const card = element(
    'li',
    { class: 'card' },
    element('div', { class: 'card-head' }, element('h3', {}, name), state, made),
    why,
    element('div', { class: 'plots' }, ...plots.map((plot) => plot.element)),
    figures.element,
  );
  return {
    element: card,
    update(one, status) {
      const { level, word: how } = stateOf(one, status.at);
      card.dataset.level = level;
      setText(word, how);
      setText(made, one.package);
      setText(why, whyOf(one, status.at));
      for (const plot of plots) plot.update(status.history, one.history);
      figures.update(one);
    },
    redraw() {
      for (const plot of plots) plot.redraw();
    },
  };
}

/**
 * @param {AuthenticatorStatus} one
 * @param {number} now
 */
function whyOf(one, now) {
  const { why } = stateOf(one, now);
  if (why === undefined) return '';
  const isSince = why === one.outage?.reason;
  return isSince ? `For ${span(now - one.outage.since)}: ${why}` : why;
}

/** The numbers: the decisions, and where they came from. They explain the colours of the plot. */
function createFigures() {
  const numbers = kinds.map(({ name }) => {
    const value = element('dd', {});
    const swatch = element('span', { class: `swatch ${name}`, 'aria-hidden': 'true' });
    return { name, value, row: element('div', { class: 'figure' }, element('dt', {}, swatch, name), value) };
  });
  const from = element('p', { class: 'from' });
  return {
    element: element('div', { class: 'figures' }, element('dl', {}, ...numbers.map(({ row }) => row)), from),
    /** @param {AuthenticatorStatus} one */
    update({ history: { sum }, cached }) {
      for (const { name, value, row } of numbers) {
        setText(value, count(sum[name]));
        row.classList.toggle('zero', sum[name] === 0);
      }
      setText(from, sourcesOf(sum, cached));
    },
  };
}

/**
 * @param {AuthenticatorStatus['history']['sum']} sum
 * @param {boolean} cached
 */
function sourcesOf(sum, cached) {
  if (sum.memory + sum.redis + sum.backend + sum.stale + sum.error === 0) return 'No reviews yet';
  const parts = sources.filter(([name]) => cached || name === 'backend');
  const counts = parts.map(([name, words]) => `${words} ${count(sum[name])}`).join(' · ');
  return `Answers from ${counts}`;
}
