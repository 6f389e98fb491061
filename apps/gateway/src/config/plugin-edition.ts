import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { findPackageJSON } from 'node:module';
import { fileURLToPath } from 'node:url';

/** Which code of a plugin this process runs. */
export interface PluginEdition {
  /** Of the file itself and its package's manifest; nothing of where they are. */
  readonly digest: string;
  /** Its package's; undefined when there is no manifest, or none in it. */
  readonly version: string | undefined;
  /** The code on disk is another by now: Node evaluates a module once, so it takes a restart to run that. */
  readonly needsRestart: boolean;
}

type Edition = Omit<PluginEdition, 'needsRestart'>;

/** Of the code that this process runs, by the URL it was imported from. */
const running = new Map<string, Edition>();

/**
 * The edition of the code that was imported from this URL. Whether there is another on disk is told from the file
 * itself and its package's manifest, which every release changes; a package's inner files are not looked at.
 */
export async function runningEdition(url: string): Promise<PluginEdition> {
  const onDisk = await edition(url);
  const imported = running.get(url) ?? onDisk;
  running.set(url, imported);
  return { ...imported, needsRestart: imported.digest !== onDisk.digest };
}

async function edition(url: string): Promise<Edition> {
  const hash = createHash('sha256').update(await readFile(fileURLToPath(url)));
  const manifest = findPackageJSON(url);
  if (manifest === undefined) return { digest: hash.digest('base64'), version: undefined };
  const content = await readFile(manifest);
  return { digest: hash.update(content).digest('base64'), version: versionOf(content) };
}

function versionOf(manifest: Buffer): string | undefined {
  try {
    const { version }: { version?: unknown } = JSON.parse(manifest.toString()) ?? {};
    return typeof version === 'string' ? version : undefined;
  } catch {
    // Node has read it before; who writes into it just now is told by its digest.
    return undefined;
  }
}
