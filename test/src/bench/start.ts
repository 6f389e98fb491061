import { spawn } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import { residentMemory } from '../testing/process-memory.ts';
import { everythingCase, staticCase } from './cases.ts';
import type { Place } from './contender.ts';
import { type BenchGatewaySetup, startBenchGateway } from './gateway.ts';
import type { Options } from './options.ts';
import { ownedChild } from './owned-child.ts';

/** A figure of one gateway, once a round. */
export interface StartRow {
  readonly what: string;
  readonly gateway: string;
  readonly unit: 'ms' | 'MiB';
  readonly values: readonly number[];
}

type Case = Pick<BenchGatewaySetup, 'config' | 'files'>;

/** Milliseconds without a request before the memory of a gateway is read. */
const idleTime = 2_000;

/** Measures starts: all figures of all rounds, with the gateways in turns, and Node alone to compare with. */
export async function measureStart(
  place: Place,
  { entries, rounds }: Options,
  progress: (words: string) => void,
): Promise<StartRow[]> {
  const rows = new Map<string, StartRow & { readonly values: number[] }>();
  const note = (what: string, gateway: string, unit: StartRow['unit'], value: number): void => {
    const key = `${what} ${gateway}`;
    if (!rows.has(key)) rows.set(key, { what, gateway, unit, values: [] });
    rows.get(key)?.values.push(value);
  };
  const cases: Record<string, Case> = {
    'static tokens': staticCase(),
    'LDAP and Redis': await everythingCase(place),
  };
  for (let round = 1; round <= rounds; round++) {
    note('a program of Node that does nothing', '', 'ms', await timeOf(['--eval', '0']));
    for (const [name, entry] of entries) {
      progress(`start of ${name || entry}, round ${round} of ${rounds}`);
      note('--help', name, 'ms', await timeOf([entry, '--help']));
      for (const [what, config] of Object.entries(cases)) {
        await using gateway = await startBenchGateway({ entry, tls: place.tls, ...config });
        const begun = performance.now();
        await untilReady(gateway.adminUrl);
        note(`ready: ${what}`, name, 'ms', gateway.started + performance.now() - begun);
        await new Promise((resolve) => setTimeout(resolve, idleTime));
        note(`idle: ${what}`, name, 'MiB', await residentMemory(gateway.pid));
      }
    }
  }
  return [...rows.values()].sort((one, other) => one.what.localeCompare(other.what));
}

async function timeOf(args: readonly string[]): Promise<number> {
  const begun = performance.now();
  const child = spawn(process.execPath, args, {
    stdio: 'ignore',
    env: { PATH: process.env.PATH ?? '' },
  });
  await using _ = ownedChild(child);
  const [code] = await once(child, 'exit');
  if (code !== 0) throw new Error(`node ${args.join(' ')} ended with ${code}`);
  return performance.now() - begun;
}

async function untilReady(adminUrl: string): Promise<void> {
  for (;;) {
    const request = http.get(new URL('/readyz', adminUrl), { agent: false });
    const [response] = (await once(request, 'response')) as [http.IncomingMessage];
    response.resume();
    if (response.statusCode === 200) return;
  }
}
