import { createScopes } from './call-scope.ts';
import { inWords } from './words.ts';

/** Work for one server that no caller waits for: probes, health checks, connections opened in advance. */
export interface Background {
  /** @throws what the work throws */
  run(work: (signal: AbortSignal) => Promise<void>): Promise<void>;
  end(): void;
  readonly isEnded: boolean;
}

/** @param limit milliseconds for one piece of work: around its steps, which have bounds of their own */
export function createBackground(url: string, limit: number): Background {
  const scopes = createScopes();
  const late = () => new Error(`${url}: no connection that works within ${inWords(limit)}`);
  return {
    async run(work) {
      const scope = scopes.openFor(limit, late);
      try {
        await work(scope.signal);
      } finally {
        scope.end();
      }
    },
    end: () => scopes.abort(new Error('the directory is closed')),
    get isEnded() {
      return scopes.isEnded;
    },
  };
}
