/**
 * Ends the process when Node's inspector is open. Its port asks for no password, so any user of the machine could make
 * this process accept any token.
 */
function refuseInspector(): void {
  // A Node that is built without an inspector has no such module.
  if (!process.features.inspector || process.getBuiltinModule('node:inspector').url() === undefined)
    return;
  process.stderr.write(
    "sallyport: Node's inspector is open: anyone who can reach its port decides who gets into the cluster. " +
      'Start without --inspect (check NODE_OPTIONS as well), and with --disable-sigusr1\n',
  );
  process.exit(1);
}

// SIGUSR1 opens the inspector unless the process listens for it. Node blocks the signal from its start with
// --disable-sigusr1; the listener is for a start without that flag. A signal that came before this line may still open
// the inspector a moment later, so one check is not enough.
process.on('SIGUSR1', () => undefined);
refuseInspector();
setInterval(refuseInspector, 1_000).unref();
