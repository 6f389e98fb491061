import { z } from 'zod';
import { choiceKey, textKey } from './keys.ts';

/** The names of the warnings of `sallyport check`, which it prints in brackets. */
const warningNames = [
  'acknowledgement',
  'backend',
  'ca-key',
  'certificate',
  'certificate-host',
  'clock',
  'cluster-ca',
  'config',
  'example-names',
  'gateway-files',
  'in-use',
  'login-address',
  'login-ca',
  'login-host',
  'lua',
  'no-directory',
  'no-uid',
  'not-looked-up',
  'permissions',
  'persistence',
  'plugin',
  'privileged-port',
  'redis-info',
  'revocation-list',
  'second-factor',
  'shared-names',
  'shared-prefix',
  'shared-store',
  'shared-tokens',
  'token-audiences',
  'token-commands',
  'twice-prefixed',
  'unrecognized-tokens',
  'unsealed-sessions',
] as const;

export type WarningName = (typeof warningNames)[number];

/**
 * No reason makes these right: each gets worse with time, keeps a gateway from starting, or lets an attacker who takes over the gateway
 * decide who gets in.
 */
const unacceptable: readonly WarningName[] = [
  'acknowledgement',
  'ca-key',
  'certificate',
  'clock',
  'gateway-files',
  'in-use',
  'revocation-list',
];

/** Each of these is the name of warnings about different things. */
const broad: readonly WarningName[] = ['backend', 'config', 'permissions', 'plugin'];

/** The schema of an entry of `check.acknowledge`. */
export const acknowledgement = z
  .strictObject({
    warning: choiceKey(
      `The name that \`check\` prints in brackets. Not ${unacceptable.join(', ')}: fix those.`,
      warningNames,
    ),
    about: textKey(
      `Words of the warning, such as an authenticator or a file. Default: all of that name. Required for ${broad.join(', ')}.`,
    ).exactOptional(),
    reason: textKey('Why this is as it should be.'),
  })
  .superRefine(({ warning, about }, context) => {
    const complain = (key: string, problem: string, fix: string) =>
      context.addIssue({ code: 'custom', path: [key], params: { problem, fix, at: 'key' } });
    if (unacceptable.includes(warning))
      complain('warning', `${warning} can't be acknowledged`, 'do what check says about it');
    if (broad.includes(warning) && about === undefined)
      complain(
        'about',
        `is missing: different warnings have the name ${warning}`,
        'write words of the warning, such as the name of an authenticator or a file',
      );
  });

/**
 * Whether an entry of `check.acknowledge` covers a warning: `corp` is not in a warning about `corp-eu`.
 *
 * @param text the name of the check and what it found, such as `config: gateway.yaml:9:3: …`
 */
export function coversWarning(
  { warning, about }: Readonly<z.output<typeof acknowledgement>>,
  name: WarningName,
  text: string,
): boolean {
  if (name !== warning) return false;
  if (about === undefined) return true;
  const pieces = text.split(about);
  return pieces.slice(1).some((next, index) => {
    return !/[\w-]$/.test(pieces[index] ?? '') && !/^[\w-]/.test(next);
  });
}
