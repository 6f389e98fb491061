import { join } from 'node:path';
import { Readable } from 'node:stream';
import { findLeaks } from '@sallyport/test-servers/leaks';
import { secret, secretsInUse } from '@sallyport/test-servers/tokens';
import type { CommandContext } from '../commands/context.ts';
import { runCommandLine } from '../commands/program/run-command-line.ts';
import { createTestContext } from './command-context.ts';

export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** `sallyport` as an operator runs it on the gateway.yaml of one folder, in this process. */
export interface Operator {
  /** The path of its gateway.yaml. */
  readonly config: string;
  /**
   * Runs a command with `input` on standard input. The line on the config of SALLYPORT_CONFIG is left out of the result.
   *
   * @throws Error when a secret of the test is in the output
   */
  run(words: readonly string[], input?: string): Promise<CommandResult>;
  /** Runs `sallyport token create --ttl 1h`. The new token is a secret of the test. @throws Error when it creates none */
  create(...words: readonly string[]): Promise<string>;
  /** Runs a command with `-o json`. @returns the parsed output @throws Error when it does not exit with 0 */
  json(...words: readonly string[]): Promise<unknown>;
}

/** @param changes what is different from an installed `sallyport`, such as its clock. `environment` is added to SALLYPORT_CONFIG */
export function operatorIn(folder: string, changes: Partial<CommandContext> = {}): Operator {
  const config = join(folder, 'gateway.yaml');
  const environment = { SALLYPORT_CONFIG: config, ...changes.environment };
  const run: Operator['run'] = async (words, input = '') => {
    const stdin = Readable.from(input === '' ? [] : [Buffer.from(input)]);
    const context = createTestContext({
      readFolder: () => folder,
      stdin,
      ...changes,
      environment,
      words,
    });
    const code = await runCommandLine(context);
    const { stdout, stderr } = context.printed;
    const leaks = findLeaks(stdout + stderr, secretsInUse());
    if (leaks.length > 0)
      throw new Error(`sallyport ${words.join(' ')} printed secrets: ${leaks.join('; ')}`);
    const used = `sallyport: using config ${environment.SALLYPORT_CONFIG} (SALLYPORT_CONFIG)\n`;
    return { code, stdout, stderr: stderr.replace(used, '') };
  };
  return {
    config,
    run,
    async create(...words) {
      const { code, stdout, stderr } = await run(['token', 'create', '--ttl', '1h', ...words]);
      const token = secret(stdout.trim());
      if (code !== 0 || !/^\S{40,}\n$/.test(stdout))
        throw new Error(`token create ended with ${code}: ${stderr}`);
      if (stderr.includes(token))
        throw new Error('token create shows the token on standard error, too');
      return token;
    },
    async json(...words) {
      const { code, stdout, stderr } = await run([...words, '-o', 'json']);
      if (code !== 0) throw new Error(`sallyport ${words.join(' ')} ended with ${code}: ${stderr}`);
      return JSON.parse(stdout);
    },
  };
}
