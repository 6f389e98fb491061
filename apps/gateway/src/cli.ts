import './refuse-inspector.ts';
import { existsSync } from 'node:fs';
import { packagePath } from './base/package-files.ts';
import type { CommandContext } from './commands/context.ts';
import { explainError, runCommandLine } from './commands/program/run-command-line.ts';
import { describeCause } from './config/problems.ts';

// A template may set an empty variable where none is meant.
if (process.env.SALLYPORT_CONFIG === '') Reflect.deleteProperty(process.env, 'SALLYPORT_CONFIG');
// The error is reported below. A reader that has gone must not interrupt what was begun.
process.stdout.on('error', () => undefined);
const [, script, ...words] = process.argv;
const context: CommandContext = {
  words,
  script,
  isCheckout: existsSync(packagePath('../../pnpm-workspace.yaml')),
  environment: process.env,
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  readFolder: process.cwd,
  now: Date.now,
  // It is loaded for the commands that log, since that takes a while.
  createLogger: async (level) => (await import('./base/logging/logger.ts')).createLogger(level),
};
let exitCode = await runCommandLine(context);
// The process does not wait for the event loop to empty, since a plugin may have left a timer or a connection behind.
process.stdout.write('', () => {
  const lost: NodeJS.ErrnoException | null = process.stdout.errored;
  // EPIPE is a reader such as `head`, which has read enough.
  if (lost !== null && lost.code !== 'EPIPE') {
    exitCode = explainError(
      context,
      new Error(`standard output can't be written: ${describeCause(lost)}`),
    );
  }
  process.stderr.write('', () => process.exit(exitCode));
});
