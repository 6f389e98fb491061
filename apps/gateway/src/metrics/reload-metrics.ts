import { Counter, Gauge, type Registry } from 'prom-client';
import type { WatchedFile } from '../files/watched-file.ts';

/** What is read anew: the config and all that it names, the certificates alone, or one file of a plugin. */
export type ReloadSource = 'config' | 'certificates' | WatchedFile;

/** What is counted of reloads. */
export interface ReloadMetrics {
  /** `taken`: it is in force. Otherwise what was in force before still is. */
  reloaded(source: ReloadSource, taken: boolean): void;
}

/**
 * Each source is remembered by itself: certificates that are renewed while an edit of the config is refused do not make
 * the edit good. A config that is taken in makes all good, since it was made with everything that it names.
 */
export function createReloadMetrics(registry: Registry): ReloadMetrics {
  const registers = [registry];
  const refused = new Set<ReloadSource>();
  const reloads = new Counter({
    name: 'sallyport_config_reloads_total',
    help: 'Reloads of the config, of its certificates and of the files of its authenticators, each by itself. A rise of failure: something on disk was refused, and what was in force before still is.',
    labelNames: ['result'],
    registers,
  });
  for (const result of ['success', 'failure']) reloads.inc({ result }, 0);
  new Gauge({
    name: 'sallyport_config_last_reload_successful',
    help: '1: what is on disk is in force, as far as it was read. 0: the last reload of the config, of its certificates or of a file of an authenticator was refused, and a restart would most likely be too.',
    registers,
    collect() {
      this.set(refused.size === 0 ? 1 : 0);
    },
  });
  return {
    reloaded(source, taken) {
      reloads.inc({ result: taken ? 'success' : 'failure' });
      if (!taken) refused.add(source);
      else if (source === 'config') refused.clear();
      else refused.delete(source);
    },
  };
}
