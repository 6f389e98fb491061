import { readFileSync } from 'node:fs';

/** The part of a summary that `turbo run --summarize` writes. */
interface RunSummary {
  readonly execution: { readonly startTime: number };
  readonly tasks: readonly {
    readonly taskId: string;
    readonly execution?: { readonly startTime: number; readonly endTime: number };
    readonly cache: { readonly status: 'HIT' | 'MISS' };
  }[];
}

/**
 * Finds when each task ran, by a summary of Turborepo, without the tasks that it took from its cache.
 *
 * @returns a line for each: from when to when, in seconds from the start of the run. The last to end is the last line
 */
export function describeTaskTimes(summaryFile: string): string[] {
  const { execution, tasks }: RunSummary = JSON.parse(readFileSync(summaryFile, 'utf8'));
  const seconds = (time: number) => ((time - execution.startTime) / 1000).toFixed(1).padStart(6);
  return tasks
    .flatMap(({ taskId, cache, execution: ran }) =>
      ran !== undefined && cache.status === 'MISS' ? [{ taskId, ...ran }] : [],
    )
    .sort((task, next) => task.endTime - next.endTime)
    .map(
      ({ taskId, startTime, endTime }) =>
        `${seconds(startTime)} s to ${seconds(endTime)} s  ${taskId}`,
    );
}
