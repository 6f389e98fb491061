#!/usr/bin/env node
import { basename, join, relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { CreateError, createPlugin } from './create.ts';

const usage = `Create an authenticator plugin for Sallyport, with tests and a config to try it.

Usage: create-authenticator NAME [OPTIONS]

Arguments:
  NAME             new folder, such as my-plugin; with a scope (@acme/my-plugin), also the name of the package;
                   \`.\` for this folder, which must be empty

Options:
  --language LANG  ts or js (default: ts)
  -h, --help       show this help

Exit status:
  0  success
  1  nothing was created

Examples:
  # Create a plugin in TypeScript
  create-authenticator my-plugin

  # Create a plugin in JavaScript
  create-authenticator @acme/my-plugin --language js
`;

const seeHelp = 'see: create-authenticator --help';

/** Fails on an old Node. @throws CreateError on a Node on which neither the gateway nor the tests of the plugin would run */
function refuseOldNode(): void {
  const { node } = process.versions;
  const [major = 0, minor = 0, patch = 0] = node.split('.').map(Number);
  const isNew = major > 26 || (major === 26 && (minor > 3 || (minor === 3 && patch >= 1)));
  if (isNew || (major === 24 && minor >= 21)) return;
  throw new CreateError(
    `this program can't run on Node ${node}: the gateway needs Node 24.21, or 26.3.1 or later`,
    'install one of these',
  );
}

/** Parses the command line. @returns undefined when help was asked for @throws CreateError on wrong usage */
function parseCommandLine(words: readonly string[]) {
  const options = {
    language: { type: 'string', default: 'ts' },
    help: { type: 'boolean', short: 'h' },
  } as const;
  const { values, positionals } = (() => {
    try {
      return parseArgs({ args: [...words], options, allowPositionals: true });
    } catch (error) {
      throw new CreateError((error as Error).message.split('. To specify')[0] ?? '', seeHelp);
    }
  })();
  if (values.help) return;
  const [target, ...surplus] = positionals;
  if (target === undefined || surplus.length > 0) throw new CreateError('write one NAME', seeHelp);
  const { language } = values;
  if (language !== 'ts' && language !== 'js') {
    throw new CreateError(
      `--language: ${JSON.stringify(language)} is not a language`,
      'write ts or js',
    );
  }
  return [target, language] as const;
}

async function create(target: string, language: 'ts' | 'js'): Promise<string> {
  const [, scope, scoped] = /^(@[a-z0-9][\w.-]*)\/([^/]+)$/.exec(target) ?? [];
  const folder = resolve(scoped ?? target);
  const name = basename(folder);
  const packageName = `${scope ?? '@example'}/${name}`;
  const files = await createPlugin(folder, { name, packageName, place: 'outside', language });
  const path = relative('', folder);
  // A quote in a path is written for a shell of POSIX.
  const word = /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
  const enter = path === '' ? '' : `  cd ${word}\n`;
  return `Created ${packageName} in ${folder}:

${files.map((file) => `  ${join(path, file)}`).join('\n')}

Install it, and run its tests:

${enter}  npm install
  npm test

If npm install answers E404, Sallyport's packages are not on npm yet. Pack them in a checkout of
Sallyport (npx -y pnpm@10 pack:all FOLDER), and run in place of npm install:
npm install --no-save FOLDER/sallyport-*.tgz

Then try it. The first command prints a review to paste once the second one, in another terminal, runs:

  npm run backend
  npm start

README.md says what to change.
`;
}

try {
  refuseOldNode();
  const parsed = parseCommandLine(process.argv.slice(2));
  process.stdout.write(parsed === undefined ? usage : await create(...parsed));
} catch (error) {
  if (!(error instanceof CreateError)) throw error;
  const fix = error.fix === undefined ? '' : `  fix: ${error.fix}\n`;
  process.stderr.write(`create-authenticator: ${error.problem}\n${fix}`);
  process.exitCode = 1;
}
