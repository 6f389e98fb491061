import { Readable } from 'node:stream';
import { createLogger } from '../base/logging/logger.ts';
import type { CommandContext } from '../commands/context.ts';

/** The context of a command in a test, with what the command has printed so far. */
export interface TestContext extends CommandContext {
  readonly printed: { stdout: string; stderr: string };
}

/** Makes the context of one command: that of an installed `sallyport`, whose standard input is empty. */
export function createTestContext(changes: Partial<CommandContext> = {}): TestContext {
  const printed = { stdout: '', stderr: '' };
  const writer = (name: keyof typeof printed) => ({
    write: (text: string) => {
      printed[name] += text;
    },
  });
  const stderr = writer('stderr');
  return {
    printed,
    words: [],
    script: '/usr/bin/sallyport',
    isCheckout: false,
    environment: {},
    stdin: Readable.from([]),
    stdout: writer('stdout'),
    stderr,
    readFolder: () => '/',
    now: Date.now,
    createLogger: (level) => createLogger(level, stderr),
    ...changes,
  };
}
