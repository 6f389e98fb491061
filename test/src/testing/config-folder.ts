import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { temporaryFolder } from './folder.ts';
import { type Config, configText } from './gateway.ts';

/** Makes a folder for commands, with a gateway.yaml and files next to it that only their owner can read. */
export async function configFolder(
  config: Config,
  files: Readonly<Record<string, string>> = {},
): Promise<string> {
  const folder = await temporaryFolder('config');
  for (const [name, text] of Object.entries({ ...files, 'gateway.yaml': configText(config) })) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), text, { mode: 0o600 });
  }
  return folder;
}
