import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

// This file is one folder below the package, as a source and when it is bundled: all other files are found from here.

/** Returns the absolute path of a file or folder of this package. @param name relative to the package */
export function packagePath(name: string): string {
  return fileURLToPath(new URL(`../../${name}`, import.meta.url));
}

export const manifest: {
  readonly version: string;
  readonly dependencies: Readonly<Record<string, string>>;
} = JSON.parse(readFileSync(packagePath('package.json'), 'utf8'));
