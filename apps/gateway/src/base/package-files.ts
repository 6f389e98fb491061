import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

// By its own name, since this file is in another folder when it is bundled.
const manifestFile = createRequire(import.meta.url).resolve('@sallyport/gateway/package.json');

/** Returns the absolute path of a file or folder of this package. @param name relative to the package */
export function packagePath(name: string): string {
  return join(dirname(manifestFile), name);
}

export const manifest: {
  readonly version: string;
  readonly dependencies: Readonly<Record<string, string>>;
} = JSON.parse(readFileSync(manifestFile, 'utf8'));
