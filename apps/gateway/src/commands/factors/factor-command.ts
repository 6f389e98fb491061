import type { CommandContext } from '../context.ts';
import { commandLine } from '../printed-commands.ts';

/** Returns the command line that does something to the second factor of a user, who was named in the same way. */
export function factorCommand(
  context: CommandContext,
  verb: 'invite' | 'reset',
  name: string,
  { config, exact = false }: { readonly config?: string; readonly exact?: boolean },
): string {
  return commandLine(
    context,
    ['factor', verb, '--user', name, ...(exact ? ['--exact'] : [])],
    config,
  );
}
