import type { Command } from 'commander';
import { exampleText, pipedToken } from '../command-line.ts';
import type { ExitCode } from '../exit-codes.ts';
import { configOption } from '../options.ts';

/**
 * Adds the verbs of `sallyport audit`. Their code is loaded when they are called.
 *
 * @param end takes the exit status
 */
export function addAuditVerbs(audit: Command, end: (code: ExitCode) => void): void {
  audit
    .command('fingerprint')
    .description('print the fingerprint that the audit trail has for a token; the token is read from standard input')
    .addOption(configOption())
    .addHelpText(
      'after',
      '\nPrints one line for each key of cache.redis.sealingKeys, the one in use first.' +
        exampleText('audit fingerprint | grep -F -f - audit.log', pipedToken),
    )
    .action(async (options) => {
      const { fingerprint } = await import('./fingerprint.ts');
      end(await fingerprint(options));
    });
}
