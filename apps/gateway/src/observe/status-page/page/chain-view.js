/** @import { AuthenticatorStatus, StatusDocument } from '../collector.ts' */
import { createList, element, setText } from './element.js';
import { createPlot, decisionKinds, decisions, latency } from './plots.js';
import { count, sourceNames, span, stateOf } from './words.js';

/** The sources of the answers that are counted. */
const sources = /** @type {const} */ (['memory', 'redis', 'backend']);

/** Shows the cards, in the order of the chain. @param {HTMLElement} list */
export function createChainView(list) {
  const show = /** @type {typeof createList<ReturnType<typeof createCard>>} */ (createList)(list);
  return (/** @type {StatusDocument} */ status) => {
    const { authenticators } = status;
    list.classList.toggle('compact', authenticators.length > 4);
    const cards = show(authenticators.map(({ name }) => [name, () => createCard(name)]));
    for (const one of authenticators) cards.get(one.name)?.update(one, status);
  };
}

/** @param {string} name */
function createCard(name) {
  const word = element('span', { class: 'word' });
  const state = element(
    'p',
    { class: 'state' },
    element('span', { class: 'shape', 'aria-hidden': 'true' }),
    word,
  );
  const made = element('p', { class: 'package' });
  const joined = element('p', { class: 'joined' });
  const reason = element('p', { class: 'why' });
  const plots = [decisions, latency].map(createPlot);
  const figures = createFigures();
  const card = element(
    'li',
    { class: 'card' },
    element('div', { class: 'card-head' }, element('h3', {}, name), state, made, joined),
    reason,
    element('div', { class: 'plots' }, ...plots.map((plot) => plot.element)),
    figures.element,
  );
  return {
    element: card,
    update(/** @type {AuthenticatorStatus} */ one, /** @type {StatusDocument} */ { at, history }) {
      const { level, word: how, why = '' } = stateOf(one, at);
      card.dataset.level = level;
      setText(word, how);
      setText(made, one.package);
      setText(joined, one.directory ? `users looked up in ${one.directory.name}` : '');
      setText(
        reason,
        why !== '' && why === one.outage?.reason
          ? `For ${span(at - one.outage.since)}: ${why}`
          : why,
      );
      for (const plot of plots) plot.update(history, one.history);
      figures.update(one);
    },
  };
}

/** Creates the numbers: the decisions, and where they came from. They explain the colours of the plot. */
function createFigures() {
  const numbers = decisionKinds.map(({ name }) => {
    const value = element('dd', {});
    const swatch = element('span', { class: `swatch ${name}`, 'aria-hidden': 'true' });
    return {
      name,
      value,
      row: element('div', { class: 'figure' }, element('dt', {}, swatch, name), value),
    };
  });
  const from = element('p', { class: 'from' });
  return {
    element: element(
      'div',
      { class: 'figures' },
      element('dl', {}, ...numbers.map(({ row }) => row)),
      from,
    ),
    /** @param {AuthenticatorStatus} one */
    update({ history: { sum }, cached }) {
      for (const { name, value, row } of numbers) {
        setText(value, count(sum[name]));
        row.classList.toggle('zero', sum[name] === 0);
      }
      const parts = sources.filter((name) => cached || name === 'backend');
      const counts = parts.map((name) => `${sourceNames[name]} ${count(sum[name])}`).join(' · ');
      const hasAnswers = sum.memory + sum.redis + sum.backend + sum.stale + sum.error > 0;
      setText(from, hasAnswers ? `Answers from ${counts}` : 'No reviews yet');
    },
  };
}
