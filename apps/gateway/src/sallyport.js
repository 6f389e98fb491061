#!/usr/bin/env node
// What every way of starting runs first. JavaScript, with no import that an old Node could trip over: there the
// TypeScript behind it could not even be loaded, and Node's own error says nothing of the reason.
import { existsSync } from 'node:fs';

/** What `engines` of package.json says: from here on Node runs TypeScript as it is. */
const [wantedMajor, wantedMinor] = [22, 18];

const [major, minor] = process.versions.node.split('.').map(Number);
if (major > wantedMajor || (major === wantedMajor && minor >= wantedMinor)) {
  // Before the rest is loaded, which takes a while.
  await import('./refuse-inspector.ts');
  await import('./cli.ts');
} else {
  const pinned = existsSync(new URL('../../../node_modules/.bin/node', import.meta.url));
  const remedy = pinned
    ? 'run it with the Node of this checkout: npx -y pnpm@10 sallyport'
    : `install Node ${wantedMajor}.${wantedMinor} or later`;
  process.stderr.write(
    `sallyport: cannot run on Node ${process.versions.node} (${process.execPath}): ` +
      `it needs Node ${wantedMajor}.${wantedMinor} or later. To fix it, ${remedy}\n`,
  );
  process.exitCode = 1;
}
