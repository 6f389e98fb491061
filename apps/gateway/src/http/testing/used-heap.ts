import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

// As `serve` does: see there.
setFlagsFromString('--no-allocation-site-pretenuring');
setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as NodeJS.GCFunction;

/** Collects garbage. @returns the bytes of the heap that are in use then. A minor collection frees no object of the old space */
export function usedHeap(type: 'minor' | 'major'): number {
  collect({ type, execution: 'sync' });
  // What has survived once moves to the old space.
  collect({ type, execution: 'sync' });
  return process.memoryUsage().heapUsed;
}
