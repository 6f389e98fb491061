import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from './ports.ts';
import { createServerProcess, type ServerProcess, withControls } from './server-process.ts';
import { temporaryFolder } from './temporary-folder.ts';

export interface PrometheusOptions {
  /** The targets that it scrapes, as `HOST:PORT`, by job. */
  readonly jobs: Readonly<Record<string, readonly string[]>>;
  /** The content of rule files. */
  readonly rules?: readonly string[];
  /** How often it scrapes and evaluates rules, and the timeout of a scrape, in its own syntax. Default `500ms`. */
  readonly interval?: string;
}

/** One series of an instant query, with its value. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** An alert that is pending or firing. */
export interface Alert {
  readonly state: 'pending' | 'firing';
  readonly labels: Readonly<Record<string, string>>;
  /** The annotations, with their templates expanded. */
  readonly annotations: Readonly<Record<string, string>>;
}

/** A Prometheus on a free port of 127.0.0.1, with its own data, which survives `stop` and `kill`. */
export interface Prometheus extends ServerProcess {
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  /** An instant query at the current time. @throws Error with the problem of the query */
  query(expression: string): Promise<readonly Sample[]>;
  alerts(): Promise<readonly Alert[]>;
}

/** Starts Debian's prometheus, in a second. */
export async function startPrometheus(options: PrometheusOptions): Promise<Prometheus> {
  await using resources = new AsyncDisposableStack();
  const folder = resources.use(await temporaryFolder('prometheus')).path;
  const address = `127.0.0.1:${await freePort()}`;
  const url = `http://${address}`;
  const configuration = join(folder, 'prometheus.json');
  const rules = options.rules ?? [];
  await Promise.all(
    rules.map((text, index) => writeFile(join(folder, `${index}.rules.yaml`), text)),
  );
  await writeFile(configuration, configurationOf(options));
  const server = resources.use(
    createServerProcess({
      name: 'prometheus',
      command: 'prometheus',
      arguments: [
        `--config.file=${configuration}`,
        `--storage.tsdb.path=${join(folder, 'data')}`,
        `--web.listen-address=${address}`,
        '--log.level=warn',
      ],
      logFile: join(folder, 'log'),
      isReady: () => isReady(url),
    }),
  );
  await server.start();
  const owned = resources.move();
  return withControls(server, owned, {
    url,
    async query(expression: string) {
      const { result } = await ask<{ result: Vector }>(url, 'query', { query: expression });
      return result.map(({ metric, value: [, value] }) => ({
        labels: metric,
        value: Number(value),
      }));
    },
    alerts: async () => (await ask<{ alerts: readonly Alert[] }>(url, 'alerts')).alerts,
  });
}

type Vector = readonly {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [number, string];
}[];

/** Writes the configuration as JSON, which is YAML. */
function configurationOf({ jobs, interval = '500ms' }: PrometheusOptions): string {
  return JSON.stringify({
    global: { scrape_interval: interval, scrape_timeout: interval, evaluation_interval: interval },
    rule_files: ['*.rules.yaml'],
    scrape_configs: Object.entries(jobs).map(([job, targets]) => ({
      job_name: job,
      static_configs: [{ targets }],
    })),
  });
}

async function isReady(url: string): Promise<boolean> {
  try {
    return (await fetch(`${url}/-/ready`)).ok;
  } catch {
    return false;
  }
}

/** https://prometheus.io/docs/prometheus/latest/querying/api/ */
async function ask<Data>(
  url: string,
  path: string,
  query: Readonly<Record<string, string>> = {},
): Promise<Data> {
  const response = await fetch(`${url}/api/v1/${path}?${new URLSearchParams(query)}`);
  const answer = (await response.json()) as { readonly data: Data; readonly error?: string };
  if (!response.ok) throw new Error(`prometheus: ${answer.error}`);
  return answer.data;
}
