import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { temporaryFolder } from '@sallyport/test-servers/temporary-folder';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { cpuSeconds } from '../testing/process-cpu.ts';
import type { Place } from './contender.ts';
import type { Options } from './options.ts';
import { selected } from './selected.ts';

/** A part of the CPU time of a gateway's reviews. */
export interface ProfileRow {
  readonly name: string;
  /** A package, a folder of the gateway, or a module of Node. */
  readonly part: string;
  /** Its own time, without the functions that it called, in microseconds a review. */
  readonly cpu: number;
  /** Its share of all parts of this gateway, where 1 is all. */
  readonly share: number;
}

/** V8's format: https://chromedevtools.github.io/devtools-protocol/tot/Profiler/#type-Profile. Times in microseconds. */
interface CpuProfile {
  readonly startTime: number;
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string };
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

const seconds = 10;

/** Sends reviews to each selected gateway, one after the other, while V8 takes samples. */
export async function measureProfile(
  place: Place,
  options: Options,
  progress: (words: string) => void,
): Promise<ProfileRow[]> {
  const rows: ProfileRow[] = [];
  for (const { name, contender, entry } of selected(options).filter(
    ({ contender }) => contender.isGateway,
  )) {
    progress(`profile of ${name}`);
    await using resources = new AsyncDisposableStack();
    const folder = resources.use(await temporaryFolder('profile')).path;
    const nodeArguments = ['--cpu-prof', `--cpu-prof-dir=${folder}`];
    const began = performance.now();
    const { pid, drive } = await contender.start({ ...place, resources, nodeArguments }, entry);
    const [start, cpu] = [performance.now() - began, await cpuSeconds(pid)];
    const { reviews } = await drive({ protocol: 'h2', at: options.at[0] ?? 64, seconds });
    const [end, used] = [performance.now() - began, (await cpuSeconds(pid)) - cpu];
    process.kill(pid, 'SIGTERM');
    const profile = await waitFor(() => readProfile(folder), 'a profile');
    const shares = sharesOf(profile, start * 1000, end * 1000);
    for (const [part, share] of shares)
      rows.push({ name, part, share, cpu: (share * used * 1e6) / reviews });
  }
  return rows;
}

/** Reads the profile. @returns undefined while there is none, or only a part */
async function readProfile(folder: string): Promise<CpuProfile | undefined> {
  const file = (await readdir(folder)).find((name) => name.endsWith('.cpuprofile'));
  if (file === undefined) return undefined;
  try {
    return JSON.parse(await readFile(join(folder, file), 'utf8')) as CpuProfile;
  } catch {
    return undefined;
  }
}

/** Computes the shares of all parts in the samples between two times after the start, the largest first. */
function sharesOf(
  { nodes, samples, timeDeltas }: CpuProfile,
  start: number,
  end: number,
): [string, number][] {
  const parts = new Map(nodes.map(({ id, callFrame }) => [id, partOf(callFrame)]));
  const times = new Map<string, number>();
  let now = 0;
  let all = 0;
  for (const [at, id] of samples.entries()) {
    const delta = timeDeltas[at] ?? 0;
    now += delta;
    const part = parts.get(id) ?? 'unknown';
    if (now < start || now > end || part === '(idle)') continue;
    times.set(part, (times.get(part) ?? 0) + delta);
    all += delta;
  }
  return [...times]
    .map(([part, time]): [string, number] => [part, time / all])
    .sort(([, one], [, other]) => other - one);
}

function partOf({ functionName, url }: CpuProfile['nodes'][number]['callFrame']): string {
  if (url === '') return functionName.startsWith('(') ? functionName : 'native code';
  const inNode = /^node:(?:internal\/)?([\w-]+)/.exec(url);
  if (inNode) return `node:${inNode[1]}`;
  const library = /^.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url);
  if (library) return `${library[1]}`;
  const ours = /\/(?:apps|packages)\/([^/]+)\/(?:src|dist)\/([^/]+)/.exec(url);
  return ours ? `${ours[1]}: ${ours[2]}` : url;
}
