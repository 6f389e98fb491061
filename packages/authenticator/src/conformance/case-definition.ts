import type { Kit } from './kit.ts';

/** One case of the kit, before it is bound to a harness. */
export interface CaseDefinition {
  readonly name: string;
  /** Skipped where the harness says that there is no backend. */
  readonly needsBackend?: true;
  run(kit: Kit): Promise<void>;
}
