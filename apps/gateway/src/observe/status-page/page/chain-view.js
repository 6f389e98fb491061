/** @import { AuthenticatorStatus, StatusDocument } from '../collector.ts' */
import { createViewList, element, setText } from './element.js';
import { createPlot, decisionKinds, decisions, latency } from './plots.js';
import { countText, describeState, sourceNames, span } from './words.js';

/** The sources of the answers that are counted. */
const sources = /** @type {const} */ (['memory', 'redis', 'backend']);

/** Shows the cards, in the order of the chain. @param {HTMLElement} list */
export function createChainView(list) {
  const show = /** @type {typeof createViewList<ReturnType<typeof createCard>>} */ (createViewList)(
    list,
  );
  return (/** @type {StatusDocument} */ status) => {
    const { authenticators } = status;
    list.classList.toggle('compact', authenticators.length > 4);
    const cards = show(authenticators.map(({ name }) => [name, () => createCard(name)]));
    for (const authenticator of authenticators)
      cards.get(authenticator.name)?.update(authenticator, status);
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
  const packageLine = element('p', { class: 'package' });
  const directoryLine = element('p', { class: 'joined' });
  const reason = element('p', { class: 'why' });
  const plots = [decisions, latency].map(createPlot);
  const figures = createFigures();
  const card = element(
    'li',
    { class: 'card' },
    element(
      'div',
      { class: 'card-head' },
      element('h3', {}, name),
      state,
      packageLine,
      directoryLine,
    ),
    reason,
    element('div', { class: 'plots' }, ...plots.map((plot) => plot.element)),
    figures.element,
  );
  return {
    element: card,
    update(
      /** @type {AuthenticatorStatus} */ authenticator,
      /** @type {StatusDocument} */ { at, history },
    ) {
      const { level, word: how, why: reasonText = '' } = describeState(authenticator, at);
      card.dataset.level = level;
      setText(word, how);
      setText(packageLine, authenticator.package);
      setText(
        directoryLine,
        authenticator.directory ? `users looked up in ${authenticator.directory.name}` : '',
      );
      setText(
        reason,
        reasonText !== '' && reasonText === authenticator.outage?.reason
          ? `For ${span(at - authenticator.outage.since)}: ${reasonText}`
          : reasonText,
      );
      for (const plot of plots) plot.update(history, authenticator.history);
      figures.update(authenticator);
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
        setText(value, countText(sum[name]));
        row.classList.toggle('zero', sum[name] === 0);
      }
      const usedSources = sources.filter((name) => cached || name === 'backend');
      const counts = usedSources
        .map((name) => `${sourceNames[name]} ${countText(sum[name])}`)
        .join(' · ');
      const hasAnswers = sum.memory + sum.redis + sum.backend + sum.stale + sum.error > 0;
      setText(from, hasAnswers ? `Answers from ${counts}` : 'No reviews yet');
    },
  };
}
