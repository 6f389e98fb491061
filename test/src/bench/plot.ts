import type { OfferedPoint } from './drive.ts';
import type { Offered } from './offered-load.ts';

const [width, height] = [960, 540];
const area = { left: 70, right: width - 190, top: 40, bottom: height - 60 };

/** The colours that most people who see few colours can distinguish: those of Okabe and Ito, then some darker ones. */
const colours =
  '#0072B2 #D55E00 #009E73 #CC79A7 #E69F00 #56B4E9 #000000 #7f7f00 #5b3a8c #8c1c13 #00575c #ff5fa2 #7a5230 #6a8f00 #888888'.split(
    ' ',
  );

/** Draws latencies against the reviews a second that were offered, both logarithmic, as SVG: p50 as a line, p99 dashed. */
export function plot(all: readonly Offered[], title: string): string {
  const points = all.flatMap((one) => one.points);
  const [min, max] = [
    Math.min(...points.map(({ rate }) => rate)),
    Math.max(...points.map(({ rate }) => rate)),
  ];
  const [low, high] = [0.1, 10 ** Math.ceil(Math.log10(Math.max(...points.map(({ p99 }) => p99))))];
  const x = (rate: number): number =>
    area.left + ((area.right - area.left) * Math.log(rate / min)) / Math.log(max / min);
  const share = (ms: number): number => Math.log(Math.max(ms, low) / low) / Math.log(high / low);
  const y = (ms: number): number => area.bottom - (area.bottom - area.top) * share(ms);
  const path = (some: readonly OfferedPoint[], figure: 'p50' | 'p99'): string =>
    some
      .map(
        (point, at) =>
          `${at === 0 ? 'M' : 'L'}${x(point.rate).toFixed(1)} ${y(point[figure]).toFixed(1)}`,
      )
      .join(' ');

  const decades = Array.from(
    { length: Math.round(Math.log10(high / low)) + 1 },
    (_, at) => low * 10 ** at,
  );
  const grid = decades.map((ms) => {
    const line = `<line x1="${area.left}" x2="${area.right}" y1="${y(ms)}" y2="${y(ms)}" stroke="#ddd"/>`;
    return `${line}<text x="${area.left - 8}" y="${y(ms) + 4}" text-anchor="end">${Number(ms.toPrecision(1))} ms</text>`;
  });
  const ticks = [50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000]
    .filter((rate) => rate >= min && rate <= max)
    .map(
      (rate) =>
        `<text x="${x(rate)}" y="${area.bottom + 20}" text-anchor="middle">${rate.toLocaleString('en')}</text>`,
    );
  const lines = all.map(({ name, points: some }, at) => {
    const colour = colours[at % colours.length];
    const stroke = `fill="none" stroke="${colour}" stroke-width="2"`;
    const place = area.top + 10 + at * 22;
    const sample = `<line x1="${area.right + 20}" x2="${area.right + 44}" y1="${place}" y2="${place}" ${stroke}/>`;
    const label = `<text x="${area.right + 52}" y="${place + 4}" fill="${colour}">${name}</text>`;
    const dashed = `<path d="${path(some, 'p99')}" ${stroke} stroke-dasharray="5 4"/>`;
    return `<path d="${path(some, 'p50')}" ${stroke}/>${dashed}${sample}${label}`;
  });
  const centre = (area.left + area.right) / 2;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="13">
<rect width="${width}" height="${height}" fill="#fff"/>
<text x="${centre}" y="22" text-anchor="middle" font-size="15">${title}</text>
${[...grid, ...ticks, ...lines].join('\n')}
<text x="${centre}" y="${height - 16}" text-anchor="middle">reviews a second that were offered; each line ends where its server can't keep up</text>
</svg>
`;
}
