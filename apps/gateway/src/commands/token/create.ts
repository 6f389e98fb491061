import type { TokenRequest } from '@sallyport/authenticator';
import type { Breach } from '../../chain/identity-policy.ts';
import { printable } from '../../logging/printable.ts';
import { commandLine } from '../command-line.ts';
import { type ExitCode, exitCodes } from '../exit-codes.ts';
import { humanDuration } from '../human-duration.ts';
import { type OutputFormat, printJson } from '../output.ts';
import { type SeenToken, seeToken, shortDigest, timeText, toJson } from './issued-token.ts';
import { type Issuing, type IssuingOptions, loadIssuing, withIssuer } from './issuing.ts';
import { refusePrefixed } from './prefixed-names.ts';
import { type RequestOptions, readRequest } from './request.ts';

export interface CreateTokenOptions extends IssuingOptions, RequestOptions {
  readonly output: OutputFormat;
}

/** Makes a token and prints it. */
export async function createToken(options: CreateTokenOptions): Promise<ExitCode> {
  const now = Date.now();
  const request = readRequest(options, now);
  const issuing = await loadIssuing(options);
  const { authenticator, judge } = issuing;
  refusePrefixed(request.user, authenticator);
  const { breach } = judge(request.user);
  if (breach !== undefined) throw refusal(issuing, breach);
  warnOfDroppedGroups(issuing, request);
  await withIssuer(issuing, async (issuer) => {
    const { token, issued } = await issuer.create(request);
    // Before the issuer is closed: nothing may stand between a token that is made and whom it is for.
    const seen = seeToken(issued, judge, now);
    if (options.output === 'json') printJson({ token, ...toJson(seen, authenticator.name) });
    else {
      process.stdout.write(`${token}\n`);
      process.stderr.write(`${description(seen, now)}\nTo revoke it: ${revokeCommand(seen, issuing, options)}\n`);
    }
  });
  return exitCodes.success;
}

function refusal({ authenticator, config }: Issuing, { rule, name }: Breach): Error {
  const what = name === undefined ? rule : `${rule}: ${name}`;
  return new Error(
    `no token was made, since each use of it would be refused: ${what}. ` +
      `Give other names, or change what ${config.file} allows authenticator ${authenticator.name}`,
  );
}

function warnOfDroppedGroups({ authenticator, judge }: Issuing, { user }: TokenRequest): void {
  const left = new Set(judge(user).user.groups);
  const dropped = (user.groups ?? []).filter((group) => !left.has(authenticator.groups.prefix + group));
  if (dropped.length === 0) return;
  process.stderr.write(
    `sallyport: groups.allow of authenticator ${authenticator.name} leaves out ${printable(dropped.join(', '))}: ` +
      'Kubernetes will not see that the token has it\n',
  );
}

function description({ issued, user }: SeenToken, now: number): string {
  const { expiresAt, notBefore, audiences } = issued;
  const lines = [
    ['user', user.username],
    ['groups', user.groups?.join(', ') || 'none'],
    ['audiences', audiences?.join(', ')],
    ['from', notBefore && timeText(notBefore)],
    ['until', expiresAt === undefined ? 'never ends' : `${timeText(expiresAt)} (${humanDuration(+expiresAt - now)})`],
    ['digest', shortDigest(issued.digest)],
  ];
  const known = lines.flatMap(([name = '', value]) => (value ? [`  ${name.padEnd(10)} ${printable(value)}`] : []));
  return ['The token is shown this once. As Kubernetes sees it:', ...known].join('\n');
}

function revokeCommand({ issued }: SeenToken, { authenticator, isOneOfSeveral }: Issuing, { config }: IssuingOptions) {
  const words = [
    ...['revoke', '--digest', shortDigest(issued.digest)],
    ...(isOneOfSeveral ? ['--authenticator', authenticator.name] : []),
  ];
  return commandLine(words, config);
}
