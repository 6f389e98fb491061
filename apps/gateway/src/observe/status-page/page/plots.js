/** @import { AuthenticatorStatus, StatusDocument } from '../collector.ts' */
import { clock, element } from './element.js';
import uPlot from './uplot.js';
import { countText, took } from './words.js';

/** The decisions in a plot, from the bottom up. `hatched` ones are distinguishable without their colour. */
export const decisionKinds = /** @type {const} */ ([
  { name: 'authenticated', hatched: false },
  { name: 'stale', hatched: true },
  { name: 'rejected', hatched: false },
  { name: 'unknown', hatched: false },
  { name: 'error', hatched: true },
]);

/** @typedef {AuthenticatorStatus['history']} History */

/**
 * @typedef {object} Drawing
 * @property {string} title
 * @property {readonly { colour: string, hatched?: boolean }[]} bars each before the next one
 * @property {(history: History) => (number | null)[][]} columns of the bars
 * @property {number} minHeight the smallest value of the full height: one review alone is no peak
 * @property {(history: History) => string} peak the value of the full height in words
 * @property {(history: History, index: number) => string} describe one bucket in words
 * @property {(history: History) => string} summary
 */

/** Draws the decisions of an authenticator, stacked. @type {Drawing} */
export const decisions = {
  title: 'Decisions per 10s',
  bars: decisionKinds.map(({ name, hatched }) => ({ colour: `--${name}`, hatched })).reverse(),
  columns: ({ counts }) =>
    decisionKinds
      .map((_, top) => {
        const stacked = decisionKinds.slice(0, top + 1);
        return counts.authenticated.map(
          (_, index) =>
            stacked.reduce((total, { name }) => total + (counts[name][index] ?? 0), 0) || null,
        );
      })
      .reverse(),
  minHeight: 4,
  peak: (history) => {
    const max = Math.max(...(decisions.columns(history)[0] ?? []).map((value) => value ?? 0));
    return max === 0 ? '' : `peak ${countText(max)}`;
  },
  describe: ({ counts }, index) => {
    const shownKinds = decisionKinds.filter(({ name }) => counts[name][index]);
    return shownKinds.map(({ name }) => `${counts[name][index]} ${name}`).join(', ') || 'none';
  },
  summary: ({ sum }) => decisionKinds.map(({ name }) => `${sum[name]} ${name}`).join(', '),
};

/** Draws the slowest answer, and in front of it the mean of the backend. @type {Drawing} */
export const latency = {
  title: 'Latency',
  bars: [{ colour: '--slowest' }, { colour: '--mean' }],
  columns: ({ slowests, means }) => [[...slowests], [...means]],
  minHeight: 0.005,
  peak: (history) => (history.slowest === null ? '' : latency.summary(history)),
  describe: ({ slowests, means }, index) =>
    slowests[index] == null
      ? 'none'
      : `backend ${took(means[index] ?? null)}, slowest ${took(slowests[index])}`,
  summary: ({ mean, slowest }) =>
    slowest === null ? 'no answers yet' : `backend ${took(mean)}, slowest ${took(slowest)}`,
};

/** Creates a plot and the line above it, which describes the bucket under the pointer. @param {Drawing} drawing */
export function createPlot(drawing) {
  const title = element('span', {}, drawing.title);
  const readout = element('span', { class: 'readout' });
  const box = element('div', { class: 'plot', role: 'img' });

  /** @type {{ times: StatusDocument['history'], history: History } | undefined} */
  let shown;
  const show = (/** @type {number | null | undefined} */ index) => {
    if (shown === undefined) return;
    const { times, history } = shown;
    // The words for the bucket under the pointer need the whole line.
    title.hidden = index != null;
    const start = times.lastFrom - (times.buckets - 1 - (index ?? 0)) * times.bucketSeconds * 1000;
    readout.textContent =
      index == null
        ? drawing.peak(history)
        : `${clock(start)}: ${drawing.describe(history, index)}`;
  };
  const plot = new uPlot(makeOptions(drawing, show), [[], ...drawing.bars.map(() => [])], box);
  // It is drawn in other colours then.
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => plot.redraw());
  new ResizeObserver(() =>
    plot.setSize({ width: box.clientWidth, height: box.clientHeight }),
  ).observe(box);

  return {
    element: element('figure', {}, element('figcaption', {}, title, readout), box),
    update(/** @type {StatusDocument['history']} */ times, /** @type {History} */ history) {
      shown = { times, history };
      const xs = Array.from({ length: times.buckets }, (_, index) => index * times.bucketSeconds);
      plot.setData([xs, ...drawing.columns(history)]);
      box.setAttribute('aria-label', `${drawing.title}: ${drawing.summary(history)}`);
      show(plot.cursor.idx);
    },
  };
}

/** @param {Drawing} drawing @param {(index: number | null | undefined) => void} show @returns {uPlot.Options} */
function makeOptions({ bars, minHeight }, show) {
  const paths = uPlot.paths.bars?.({ size: [0.78, 14] });
  return {
    width: 240,
    height: 56,
    padding: [2, 0, 0, 0],
    legend: { show: false },
    axes: [{ show: false }, { show: false }],
    cursor: {
      y: false,
      points: { show: false },
      drag: { x: false, y: false },
      sync: { key: 'time' },
    },
    scales: {
      x: { time: false, range: ({ data: [xs] }) => [(xs[0] ?? 0) - 5, (xs.at(-1) ?? 0) + 5] },
      y: { range: (_, __, max) => [0, Math.max(max ?? 0, minHeight)] },
    },
    series: [
      {},
      ...bars.map(({ colour, hatched }) => ({
        ...(paths && { paths }),
        width: 0,
        points: { show: false },
        fill: () => paint(colour, hatched),
      })),
    ],
    hooks: { setCursor: [(self) => show(self.cursor.idx)] },
  };
}

/** Returns a colour of the style sheet, or stripes of it. @param {string} name @param {boolean | undefined} hatched */
function paint(name, hatched) {
  const colour = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const context = hatched ? new OffscreenCanvas(6, 6).getContext('2d') : null;
  if (context === null) return colour;
  context.fillStyle = colour;
  context.globalAlpha = 0.35;
  context.fillRect(0, 0, 6, 6);
  context.globalAlpha = 1;
  context.strokeStyle = colour;
  context.lineWidth = 2.2;
  for (const shift of [-6, 0, 6]) {
    context.moveTo(shift - 1, 7);
    context.lineTo(shift + 7, -1);
  }
  context.stroke();
  return context.createPattern(context.canvas, 'repeat') ?? colour;
}
