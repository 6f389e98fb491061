#!/usr/bin/env node
// Every way of starting runs this file first. It is JavaScript, and imports nothing that an old Node lacks: such a Node
// can't load the code behind it, and its own error does not name the reason.
import { accessSync, constants, existsSync } from 'node:fs';
import { totalmem } from 'node:os';

/**
 * The same as `engines` of package.json. Node 24 before 24.21 ends no idle HTTP/1.1 connection of a server that also speaks HTTP/2, and
 * Node 26 before 26.3.1 can take a certificate for another host (CVE-2026-48618).
 */
const required = '24.21, or 26.3.1 or later';

const [major = 0, minor = 0, patch = 0] = process.versions.node.split('.').map(Number);
const isNew = major > 26 || (major === 26 && (minor > 3 || (minor === 3 && patch >= 1)));
if (isNew || (major === 24 && minor >= 21)) {
  if (process.argv[2] === 'serve') await startAgainWithFlags();
  // This comes before the rest, which takes a while to load.
  await import('./refuse-inspector.ts');
  await import('./cli.ts');
} else {
  const pinned = existsSync(new URL('../../../node_modules/.bin/node', import.meta.url));
  const fix = pinned
    ? 'run it with the Node of this checkout: npx -y pnpm@10 sallyport'
    : `install Node ${required}`;
  process.stderr.write(
    `sallyport: can't run on Node ${process.versions.node} (${process.execPath}): ` +
      `it needs Node ${required}. To fix it, ${fix}\n`,
  );
  process.exitCode = 1;
}

/** Replaces this process, which keeps its ID, unless Node has all flags: it reads flags of its heap only when it starts. */
async function startAgainWithFlags() {
  const { flagsForStart } = await import('./base/node-flags.js');
  const limit = process.constrainedMemory();
  const memory = limit < totalmem() ? limit : 0;
  const missingFlags = flagsForStart(process.env.NODE_OPTIONS, process.execArgv, memory);
  // A parent with an IPC channel, such as `node --watch`, would lose it. Windows has no such call.
  if (missingFlags.length === 0 || process.connected || process.platform === 'win32') return;
  const words = [...missingFlags, ...process.execArgv, ...process.argv.slice(1)];
  try {
    // Node 24 ends the process if it can't be replaced.
    accessSync(process.execPath, constants.X_OK);
    process.execve?.(process.execPath, [process.execPath, ...words]);
  } catch (error) {
    process.stderr.write(
      `sallyport: can't start Node again with flags that save memory (${error}). ` +
        `To fix it, start Node with: ${missingFlags.join(' ')}\n`,
    );
  }
}
