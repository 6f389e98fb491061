import { durationText } from '@sallyport/plugin-kit';
import type { DirectoryConfig, GatewayConfig } from '../../config/types.ts';
import type { Answer } from '../../engine/chain/chain.ts';
import { digestToken } from '../../engine/revocation/list.ts';
import { createSessionTexts, type Session } from '../../engine/sessions/session-text.ts';
import { providerJson } from '../issuer.ts';
import { momentText } from '../times.ts';

/** A session whose login was more than a password: at a provider, or with a second factor. */
export type ExplainedSession = Pick<
  Session,
  'authenticator' | 'since' | 'until' | 'amr' | 'provider'
>;

/** Reads the session of a token that the chain accepted. Undefined: it is not a session, or its user logged in with a password alone. */
export function acceptedSession(
  { login, cache }: Pick<GatewayConfig, 'login' | 'cache'>,
  token: string,
  answers: readonly Answer[],
): ExplainedSession | undefined {
  const answer = answers.find(({ authenticator }) => authenticator === login?.sessions);
  const decision = answer && 'decision' in answer ? answer.decision : undefined;
  if (decision?.kind !== 'authenticated' || decision.session === undefined) return undefined;
  const texts = createSessionTexts(cache.redis?.sealingKeys ?? []);
  const session = texts.read(digestToken(token), decision.session);
  return session?.provider || session?.amr ? session : undefined;
}

export function sessionJson(session: ExplainedSession): object {
  const { authenticator, amr, provider } = session;
  const since = new Date(session.since);
  const until = new Date(session.until);
  return { authenticator, since, until, amr, provider: provider && providerJson(provider) };
}

const groupsBy = {
  replace: 'its groups replace the groups of the ID token',
  add: 'its groups are added to the groups of the ID token',
  keep: 'the groups come from the ID token',
} satisfies Readonly<Record<DirectoryConfig['groups'], string>>;

/** Says how the user logged in, where their groups are from, and who finds out about a disabled account. */
export function sessionLines(
  { authenticators }: Pick<GatewayConfig, 'authenticators'>,
  { authenticator, since, until, amr: sessionAmr = [], provider }: ExplainedSession,
): readonly string[] {
  if (provider === undefined)
    return [`logged in at ${momentText(since)} with a second factor, amr ${sessionAmr.join(' ')}`];
  const { name, acr, amr, authTime } = provider;
  const login = [
    `logged in at provider ${name} at ${momentText(since)}`,
    ...(acr === undefined ? [] : [`acr ${acr}`]),
    ...(amr === undefined ? [] : [`amr ${amr.join(' ')}`]),
    ...(authTime === undefined ? [] : [`proved who they are there at ${momentText(authTime)}`]),
  ];
  const directory = authenticators.find((a) => a.name === authenticator)?.directory;
  const account =
    directory === undefined
      ? `the groups come from the ID token; authenticator ${authenticator} has no directory, so the account is not looked up again until the session ends at ${momentText(until)}`
      : `the account is looked up in ${directory.authenticator} every ${durationText(directory.refresh)}: ${groupsBy[directory.groups]}`;
  return [login.join(', '), account];
}
