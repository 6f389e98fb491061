import { printable, printableLines } from '../../base/logging/printable.ts';

/** What is reloaded: the config and all that it names, the certificates alone, or one file of a plugin. */
export type ReloadSource = 'config' | 'certificates' | { readonly file: string };

export type RefusedReloads = ReturnType<typeof createRefusedReloads>;

/**
 * Remembers the last refusal of each source: when certificates are renewed, a refused edit of the config is still not in force.
 * A config that is loaded clears all of them, since everything that it names was loaded with it.
 *
 * @param wall reads milliseconds since 1970
 */
export function createRefusedReloads(wall: () => number) {
  const refused = new Map<ReloadSource, { what: string; at: number; problems: string[] }>();
  return {
    /** Must be called after each reload. @param problems is empty if it succeeded */
    reloaded(source: ReloadSource, problems: readonly string[]): void {
      refused.delete(source);
      const sourceText = printable(typeof source === 'string' ? source : source.file);
      if (problems.length > 0)
        refused.set(source, {
          what: sourceText,
          at: wall(),
          problems: problems.map(printableLines),
        });
      else if (source === 'config') refused.clear();
    },
    get count() {
      return refused.size;
    },
    /** Lists the refusals, newest first. */
    list: () => [...refused.values()].reverse(),
  };
}
