import { median } from '../testing/median.ts';
import { sum } from '../testing/sum.ts';
import { type CompareOptions, compare, type Figures } from './compare.ts';
import { type Measured, startMeasured } from './gateways.ts';

/** How gateways that are looked at compare with such that are not. */
export interface ObservationCost {
  /** Of all gateways: in turn one that is not looked at, and one that is. */
  readonly figures: readonly Figures[];
  /** CPU a review, looked at, by that of those that are not, in the same round: 1.1 is a tenth more. The median of all. */
  readonly ratio: number;
  /** The figure of all rounds together. */
  readonly ratioInAll: number;
}

export interface ObservationOptions extends CompareOptions {
  /** Gateways of each kind: two processes of the same program may differ by a twentieth, for all of their life. */
  readonly pairs: number;
}

/** The paths that are fetched, and after how many milliseconds each. */
type Looks = Readonly<Record<string, number>>;

/**
 * What a kubelet does by default. Without it the measure would be a process that serves one kind of request alone, for
 * which V8 makes code that is faster by some hundredths, and that the first probe makes it give up.
 */
const probes: Looks = { '/livez': 10_000, '/readyz': 10_000 };

/** Twelve times as often as Prometheus asks by default, and as often as an open status page does. */
const observers: Looks = { '/metrics': 5_000, '/status.json': 2_000 };

function look({ gateway }: Measured, looks: Looks): Disposable {
  const running = Object.entries(looks).map(([path, interval]) => {
    // The result is ignored: only the reviews of the gateway are measured.
    const ask = () => {
      void fetch(new URL(path, gateway.adminUrl)).then(
        (answer) => answer.text(),
        () => {},
      );
    };
    ask();
    return setInterval(ask, interval);
  });
  return {
    [Symbol.dispose]: () => {
      for (const timer of running) clearInterval(timer);
    },
  };
}

/** The audit trail in a file, metrics scraped, the status page open; and nothing of it. All are probed, as in a cluster. */
export async function measureObservation({ pairs, ...options }: ObservationOptions): Promise<ObservationCost> {
  await using stack = new AsyncDisposableStack();
  const gateways: Measured[] = [];
  for (let pair = 0; pair < pairs; pair++) {
    const quiet = stack.use(await startMeasured('audit off, no scrape'));
    const audit = { output: 'audit.log' };
    const observed = stack.use(await startMeasured('audit in a file, scraped, status page open', { audit }));
    for (const gateway of [quiet, observed]) stack.use(look(gateway, probes));
    stack.use(look(observed, observers));
    gateways.push(quiet, observed);
  }
  const figures = await compare(gateways, options);
  const [quiet, observed] = [0, 1].map((kind) => figures.filter((_, at) => at % 2 === kind));
  const ratioOf = (cpu: (one: Figures) => number) => sum((observed ?? []).map(cpu)) / sum((quiet ?? []).map(cpu));
  return {
    figures,
    ratio: median(Array.from({ length: options.rounds }, (_, round) => ratioOf(({ cpu }) => cpu[round] ?? Number.NaN))),
    ratioInAll: ratioOf(({ cpu }) => sum(cpu)),
  };
}
