import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type {
  AttemptOutcome,
  Attempts,
  Counter,
  DeniedAttempt,
  Gauge,
  Histogram,
  HistogramOptions,
  Labels,
  Logger,
  MetricOptions,
  Metrics,
  PluginContext,
  WatchOptions,
} from '../plugin.ts';

/** A metric that a plugin created, with all the labels that it gave values for. */
export interface RecordedMetric {
  /** The name with which the gateway exports it: prefixed. */
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
  /** One entry for each call, in their order. */
  readonly labels: Readonly<Record<string, string | number>>[];
}

// Prometheus' data model; names that start with two underscores are its own.
const metricName = /^[a-zA-Z_][a-zA-Z0-9_]*$/;
const labelName = /^(?!__)[a-zA-Z_][a-zA-Z0-9_]*$/;
const takenLabels: readonly string[] = ['authenticator', 'le', 'quantile'];

/** Makes metrics that export nothing, and are as strict about names and labels as the gateway's. */
function recordingMetrics(pluginName: string): {
  metrics: Metrics;
  recorded: readonly RecordedMetric[];
} {
  const recorded: RecordedMetric[] = [];

  function register({
    name,
    help,
    labelNames = [],
  }: MetricOptions<string>): (labels?: Labels) => void {
    const metric: RecordedMetric = {
      name: `sallyport_plugin_${pluginName}_${name}`,
      help,
      labelNames,
      labels: [],
    };
    checkDeclaration(name, metric, recorded);
    recorded.push(metric);
    return (labels = {}) => metric.labels.push(checkedLabels(metric, labels));
  }

  function counter(options: MetricOptions<string>): Counter<string> {
    const record = register(options);
    function inc(labels?: Labels, value = 1): void {
      if (!(value >= 0))
        throw new Error(`The counter ${options.name} can't go down: ${value} was added.`);
      record(labels);
    }
    return { inc };
  }

  function gauge(options: MetricOptions<string>): Gauge<string> {
    const record = register(options);
    return { set: record, inc: record, dec: record };
  }

  function histogram(options: HistogramOptions<string>): Histogram<string> {
    const { buckets = [] } = options;
    if (
      buckets.some((bound, index) => index > 0 && !(bound > (buckets[index - 1] ?? Number.NaN)))
    ) {
      throw new Error(`The buckets of ${options.name} must ascend.`);
    }
    return { observe: register(options) };
  }

  return { metrics: { counter, gauge, histogram }, recorded };
}

function checkDeclaration(
  name: string,
  metric: RecordedMetric,
  existing: readonly RecordedMetric[],
): void {
  if (!metricName.test(name))
    throw new Error(`"${name}" is not a metric name: use letters, digits and underscores.`);
  if (existing.some((recordedMetric) => recordedMetric.name === metric.name)) {
    throw new Error(`The metric ${name} exists already: create each metric once, in create().`);
  }
  if (metric.help.trim() === '')
    throw new Error(`The metric ${name} has no help: say its unit and what a rise means.`);
  for (const label of metric.labelNames) {
    if (!labelName.test(label))
      throw new Error(`"${label}" of the metric ${name} is not a label name.`);
    if (takenLabels.includes(label))
      throw new Error(`The label ${label} of the metric ${name} is reserved.`);
  }
}

function checkedLabels(metric: RecordedMetric, labels: Labels): Record<string, string | number> {
  const values: Record<string, string | number> = {};
  for (const [label, value] of Object.entries(labels)) {
    if (!metric.labelNames.includes(label)) {
      throw new Error(`The metric ${metric.name} has no label ${label}: declare it in labelNames.`);
    }
    if (value !== undefined) values[label] = value;
  }
  return values;
}

/** A line that a plugin logged, or that was logged about it. */
export interface RecordedLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly fields: object;
  readonly message: string;
}

/** An attempt that a plugin asked for. */
export interface RecordedAttempt {
  readonly subject: string;
  readonly admitted: boolean;
  /** Undefined until the plugin settles it. */
  outcome?: AttemptOutcome;
}

export interface RecordingContextOptions {
  /** The plugin's name, for the names of its metrics. */
  readonly pluginName: string;
  /** The folder where relative paths start, absolute. */
  readonly baseDirectory: string;
  /** Denies every attempt for this reason. Left out: every attempt is admitted. */
  readonly deny?: DeniedAttempt['reason'];
  readonly signal?: AbortSignal;
}

/** A context for `create` that records everything, for the kit and for a plugin's own tests. */
export interface RecordingContext {
  readonly context: PluginContext;
  readonly lines: readonly RecordedLine[];
  readonly metrics: readonly RecordedMetric[];
  readonly attempts: readonly RecordedAttempt[];
  /** Absolute paths, one for each call of `watchFile`. */
  readonly watchedFiles: readonly string[];
  /**
   * Loads every watched file again, as the gateway does after a change, and returns the errors. The gateway would log
   * them, so they are in `lines` too.
   *
   * @param content loaded instead of the content of the files
   */
  touch(content?: Buffer): Promise<readonly unknown[]>;
}

export function recordingContext(options: RecordingContextOptions): RecordingContext {
  const { pluginName, baseDirectory, signal = new AbortController().signal } = options;
  const { logger, lines } = recordingLogger();
  const { metrics, recorded: recordedMetrics } = recordingMetrics(pluginName);
  const { attempts, recorded: recordedAttempts } = recordingAttempts(options.deny);
  const watchedFiles: string[] = [];
  const watched: { readonly file: string; readonly load: Load; readonly limit: number }[] = [];

  async function watchFile(
    file: string,
    load: Load,
    { limit = Infinity }: WatchOptions = {},
  ): Promise<void> {
    const absolute = path.resolve(baseDirectory, file);
    await load(await readAtMost(absolute, limit));
    watched.push({ file: absolute, load, limit });
    watchedFiles.push(absolute);
  }

  async function touch(content?: Buffer): Promise<readonly unknown[]> {
    const errors: unknown[] = [];
    for (const { file, load, limit } of watched) {
      try {
        await load(content ?? (await readAtMost(file, limit)));
      } catch (error) {
        errors.push(error);
        logger.error({ file, error }, 'what was loaded last stays in force');
      }
    }
    return errors;
  }

  return {
    context: { logger, metrics, baseDirectory, signal, attempts, watchFile },
    lines,
    metrics: recordedMetrics,
    attempts: recordedAttempts,
    watchedFiles,
    touch,
  };
}

type Load = (content: Buffer) => void | Promise<void>;

async function readAtMost(file: string, limit: number): Promise<Buffer> {
  const content = await readFile(file);
  if (content.length > limit) throw new Error(`${file} is bigger than ${limit} bytes`);
  return content;
}

function recordingLogger(): { logger: Logger; lines: readonly RecordedLine[] } {
  const lines: RecordedLine[] = [];
  const record = (level: RecordedLine['level']) => (fields: object, message: string) => {
    lines.push({ level, fields, message });
  };
  return {
    logger: {
      debug: record('debug'),
      info: record('info'),
      warn: record('warn'),
      error: record('error'),
    },
    lines,
  };
}

function recordingAttempts(deny?: DeniedAttempt['reason']): {
  attempts: Attempts;
  recorded: readonly RecordedAttempt[];
} {
  const recorded: RecordedAttempt[] = [];
  async function admit(subject: string): ReturnType<Attempts['admit']> {
    const attempt: RecordedAttempt = { subject, admitted: deny === undefined };
    recorded.push(attempt);
    if (deny !== undefined) return { admitted: false, reason: deny };
    return {
      admitted: true,
      async settle(outcome) {
        attempt.outcome ??= outcome;
      },
    };
  }
  return { attempts: { admit }, recorded };
}
