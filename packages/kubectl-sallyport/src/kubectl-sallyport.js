#!/usr/bin/env node
// It is JavaScript, and imports nothing that an old Node lacks: such a Node can't load the code behind it, and its own
// error does not name the reason.

const [major] = process.versions.node.split('.').map(Number);
if (major >= 22) {
  const { main } = await import('./cli.ts');
  await main();
} else {
  process.stderr.write(
    `kubectl-sallyport: can't run on Node ${process.versions.node} (${process.execPath}): ` +
      'it needs Node 22 or later. To fix it, install a newer Node, or the single executable of the release\n',
  );
  process.exitCode = 1;
}
