/** @import { RecentReview } from '../document.ts' */
import { element, moment } from './element.js';
import { took } from './words.js';

/** @type {Readonly<Record<NonNullable<RecentReview['source']>, string>>} */
const sources = { memory: 'memory', redis: 'Redis', stale: 'stale' };

/** For an empty cell. */
const nothing = '–';

/**
 * The table of the last reviews. A row stays as long as its review, so that a selected text is not lost.
 *
 * @param {HTMLElement} body
 */
export function createRecentView(body) {
  /** @type {Map<string, HTMLElement>} */
  let rows = new Map();
  return {
    /** @param {readonly RecentReview[]} reviews */
    update(reviews) {
      rows = new Map(reviews.map((review) => [review.id, rows.get(review.id) ?? rowOf(review)]));
      const shown = new Set(/** @type {Iterable<Element>} */ (rows.values()));
      for (const row of [...body.children]) if (!shown.has(row)) row.remove();
      for (const [index, row] of [...shown].entries()) {
        if (body.children[index] !== row) body.insertBefore(row, body.children[index] ?? null);
      }
    },
  };
}

/** @param {RecentReview} review */
function rowOf({ at, outcome, reason, authenticator, username, source, seconds, callerGone }) {
  const why = [reason, callerGone ? 'the caller did not wait' : undefined].filter((part) => part !== undefined);
  const from = source === undefined ? (authenticator === undefined ? nothing : 'backend') : sources[source];
  const word = element('span', { class: 'word' }, outcome);
  const shape = element('span', { class: 'shape', 'aria-hidden': 'true' });
  return element(
    'tr',
    { role: 'row', 'data-outcome': source === 'stale' ? 'stale' : outcome },
    cell('time', moment(at)),
    cell('outcome', shape, word, ...(why.length > 0 ? [element('span', { class: 'reason' }, why.join('; '))] : [])),
    cell('who', username ?? nothing),
    cell('by', authenticator ?? nothing),
    cell('from', from),
    cell('took', took(seconds)),
  );
}

/** @param {string} column @param {...(Node | string)} content */
function cell(column, ...content) {
  const empty = content[0] === nothing ? ' nothing' : '';
  return element('td', { role: 'cell', class: `c-${column}${empty}` }, ...content);
}
