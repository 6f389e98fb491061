/**
 * Packs all packages that are published into a folder: `pnpm pack:all FOLDER`. pnpm would list each file of each package, so only the
 * packages are printed.
 */
import { execFileSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { writePackedList } from './packed-list.ts';

const [folder] = process.argv.slice(2);
if (folder === undefined) {
  console.error('no folder is named\n  fix: run npx -y pnpm@10 pack:all ~/sallyport-packages');
  process.exitCode = 2;
} else {
  pack(resolve(process.env.INIT_CWD ?? '.', folder));
}

function pack(path: string): void {
  const output = execFileSync('pnpm', ['--silent', 'run', 'pack:built', path, '--json'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const packages: readonly { readonly filename: string }[] = JSON.parse(output);
  const bytes = new Map(packages.map(({ filename }) => [filename, statSync(filename).size]));
  process.stdout.write(writePackedList(path, bytes));
}
