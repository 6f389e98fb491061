import type { GatewayConfig } from '../config/types.ts';
import type { WatchedFile } from '../files/watched-file.ts';
import type { FileWatcher } from '../files/watcher.ts';
import type { Generation } from './generation.ts';

/** What a change of each kind of file brings about. */
export interface ChangeHandlers {
  readonly config: () => Promise<void>;
  readonly certificates: () => Promise<void>;
  readonly file: (file: WatchedFile) => Promise<void>;
}

/** The watches over the files of what runs. `since`: when reading them began, wall clock milliseconds. */
export interface Watches {
  /** Over the config, its secrets, and `more`: files that a refused config names. */
  config(running: Generation, since: number, more?: readonly string[]): Promise<void>;
  /**
   * Over certificates and the files of plugins. Not to be begun anew after a reload that was refused: what has changed
   * meanwhile, and was not loaded, would be taken for known.
   */
  others(running: Generation, since: number): Promise<void>;
}

export function createWatches(watcher: FileWatcher, handlers: ChangeHandlers): Watches {
  let endConfig = () => {};
  let endOthers: (() => void)[] = [];
  return {
    async config({ config }, since, more = []) {
      endConfig();
      endConfig = await watcher.watch([config.file, ...config.secretFiles, ...more], since, handlers.config);
    },
    async others({ config, files }, since) {
      for (const end of endOthers) end();
      endOthers = await Promise.all([
        watcher.watch(tlsFiles(config.server.tls), since, handlers.certificates),
        ...files.map((one) => watcher.watch([one.file], since, () => handlers.file(one))),
      ]);
    },
  };
}

export function tlsFiles(tls: GatewayConfig['server']['tls']): string[] {
  if (tls === undefined) return [];
  return [tls.certFile, tls.keyFile, ...(tls.client === undefined ? [] : [tls.client.caFile])];
}
