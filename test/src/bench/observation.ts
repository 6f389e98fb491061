import { type CompareOptions, compare, type Figures } from './compare.ts';
import { type Measured, startMeasured } from './gateways.ts';

/** How a gateway that is looked at compares with one that is not. */
export interface ObservationCost {
  readonly figures: readonly Figures[];
  /** CPU a review, looked at, by that of one that is not: 1.1 is a tenth more. */
  readonly ratio: number;
  /** The same of all rounds together. */
  readonly ratioInAll: number;
}

/** Milliseconds: twelve times as often as Prometheus asks by default. */
const scrapeInterval = 5_000;
const pageInterval = 2_000;

/** Scraped, and the status page open, which looks every two seconds. */
function look({ gateway }: Measured): Disposable {
  const timers = [
    ['/metrics', scrapeInterval],
    ['/status.json', pageInterval],
  ] as const;
  const running = timers.map(([path, interval]) =>
    // What comes of it shows in nobody's figures but the gateway's, whose answer is what is measured.
    setInterval(
      () =>
        fetch(new URL(path, gateway.adminUrl)).then(
          (answer) => answer.text(),
          () => {},
        ),
      interval,
    ),
  );
  return {
    [Symbol.dispose]: () => {
      for (const timer of running) clearInterval(timer);
    },
  };
}

/** The audit trail in a file, metrics scraped, the status page open; and nothing of it. */
export async function measureObservation(options: CompareOptions): Promise<ObservationCost> {
  await using quiet = await startMeasured('audit off, no scrape');
  await using observed = await startMeasured('audit in a file, scraped, status page open', {
    audit: { output: 'audit.log' },
  });
  using _looking = look(observed);
  const figures = await compare([quiet, observed], options);
  const ratioOf = (key: 'cpuPerReview' | 'cpuInAll') => {
    const [without, looked] = figures.map((one) => one[key]);
    return (looked ?? Number.NaN) / (without ?? Number.NaN);
  };
  return { figures, ratio: ratioOf('cpuPerReview'), ratioInAll: ratioOf('cpuInAll') };
}
