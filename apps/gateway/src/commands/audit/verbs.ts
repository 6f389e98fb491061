import type { Command } from 'commander';
import { exampleText, pipedToken } from '../command-line.ts';
import type { ExitCode } from '../exit-codes.ts';
import { configOption, outputOption } from '../options.ts';

/**
 * The verbs of `sallyport audit`. Each is loaded when it is called.
 *
 * @param end takes the exit status of what was run
 */
export function addAuditVerbs(audit: Command, end: (code: ExitCode) => void): void {
  audit
    .command('verify')
    .description('say whether an audit trail is whole: gaps, repeats, lines that were dropped, torn or can not be read')
    .argument('<file...>', 'its files, the oldest first; - is standard input')
    .addOption(outputOption())
    .addHelpText(
      'after',
      '\nExit status: 0 nothing is missing but what the trail tells of itself, 1 gaps, repeats or lines that can not be' +
        '\nread, 2 wrong usage.' +
        exampleText('audit verify audit.log.1 audit.log'),
    )
    .action(async (files: string[], options) => {
      const { verify } = await import('./verify.ts');
      end(await verify(files, options));
    });
  audit
    .command('fingerprint')
    .description('print what stands in the audit trail for a token, which is read from standard input')
    .addOption(configOption())
    .addHelpText(
      'after',
      '\nOne line for each key of cache.redis.sealingKeys, that in use first.' +
        exampleText('audit fingerprint | grep -F -f - audit.log', pipedToken),
    )
    .action(async (options) => {
      const { fingerprint } = await import('./fingerprint.ts');
      end(await fingerprint(options));
    });
}
