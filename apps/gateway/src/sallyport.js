#!/usr/bin/env node
// Every way of starting runs this file first. It is JavaScript, and imports nothing that an old Node lacks: such a Node
// can't load the TypeScript behind it, and its own error does not name the reason.
import { existsSync } from 'node:fs';

/** The version in `engines` of package.json: the first Node that runs TypeScript without a flag. */
const [requiredMajor, requiredMinor] = [22, 18];

const [major, minor] = process.versions.node.split('.').map(Number);
if (major > requiredMajor || (major === requiredMajor && minor >= requiredMinor)) {
  // Before the rest is loaded, which takes a while.
  await import('./refuse-inspector.ts');
  await import('./cli.ts');
} else {
  const pinned = existsSync(new URL('../../../node_modules/.bin/node', import.meta.url));
  const fix = pinned
    ? 'run it with the Node of this checkout: npx -y pnpm@10 sallyport'
    : `install Node ${requiredMajor}.${requiredMinor} or later`;
  process.stderr.write(
    `sallyport: cannot run on Node ${process.versions.node} (${process.execPath}): ` +
      `it needs Node ${requiredMajor}.${requiredMinor} or later. To fix it, ${fix}\n`,
  );
  process.exitCode = 1;
}
