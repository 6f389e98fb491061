#!/usr/bin/env node
// It is JavaScript, and imports nothing that an old Node lacks: such a Node can't load the code behind it, and its own
// error does not name the reason.

/** The same as `engines` of package.json. An older Node can take a certificate for another host (CVE-2026-48618). */
const required = '22.23, 24.17, or 26.3.1 or later';

const [major = 0, minor = 0, patch = 0] = process.versions.node.split('.').map(Number);
const isFixed =
  (major === 22 && minor >= 23) ||
  (major === 24 && minor >= 17) ||
  (major === 26 && (minor > 3 || (minor === 3 && patch >= 1))) ||
  major > 26;
if (isFixed) {
  const { main } = await import('./cli.ts');
  await main();
} else {
  process.stderr.write(
    `kubectl-sallyport: can't run on Node ${process.versions.node} (${process.execPath}): ` +
      `it needs Node ${required}. To fix it, install one of these, or the single executable of the release\n`,
  );
  process.exitCode = 1;
}
