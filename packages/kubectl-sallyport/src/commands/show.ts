import { parseWords, targetOptions } from '../arguments.ts';
import { openCacheStore } from '../cache/store.ts';
import { usageFailure } from '../failure.ts';
import { listSessions, readState } from '../server/login-server.ts';
import { cachedSession } from '../session.ts';
import type { Target } from '../target.ts';
import { localTime, printable, spanText, table } from '../text.ts';
import { notLoggedIn, targetOfUser } from '../user-target.ts';

/** Shows the name and the groups of the user, as the server knows them. */
export async function whoami(words: readonly string[]): Promise<void> {
  const { isJson, target, session, answer } = await askWithSession(words, (server, token) =>
    readState(server, token),
  );
  const { user, groups, expiresAt, idleSeconds } = answer;
  if (isJson)
    return showJson({
      user,
      groups,
      cluster: target.cluster,
      server: target.url,
      expiresAt,
      idleSeconds,
    });
  const unused =
    idleSeconds === undefined ? '' : `, or when you do not use it for ${spanText(idleSeconds)}`;
  const lines = [
    ['User', user],
    ['Groups', groups.join(', ') || 'none'],
    ['Cluster', target.cluster],
    ['Server', target.url],
    ['Until', localTime(session.expiresAt) + unused],
  ];
  process.stdout.write(
    lines.map(([name = '', value = '']) => `${`${name}:`.padEnd(9)}${printable(value)}\n`).join(''),
  );
}

/** Lists the sessions of the user, of all devices. */
export async function sessions(words: readonly string[]): Promise<void> {
  const { isJson, answer } = await askWithSession(words, listSessions);
  if (isJson) return showJson(answer);
  const rows = answer.map((session) => [
    session.current ? '*' : '',
    printable(session.device) || '-',
    printable(session.cluster) || '-',
    localTime(session.since),
    localTime(session.lastUsedAt),
    localTime(session.expiresAt),
    printable(session.state),
  ]);
  const heads = ['', 'DEVICE', 'CLUSTER', 'SINCE', 'LAST USE', 'UNTIL', 'STATE'];
  process.stdout.write(table([heads, ...rows]));
}

/** Asks the server about the user who is logged in. @param question returns undefined when the session has ended */
async function askWithSession<Answer>(
  words: readonly string[],
  question: (target: Target, token: string) => Promise<Answer | undefined>,
) {
  const { values } = parseWords(words, {
    ...targetOptions,
    output: { type: 'string', short: 'o' },
  });
  const isJson = values.output === 'json';
  if (values.output !== undefined && !isJson)
    throw usageFailure('--output must be json', 'write --output json, or leave it out for text');
  const target = await targetOfUser(values);
  const store = openCacheStore(target);
  const session = cachedSession(target, store)?.session;
  if (session === undefined) throw await notLoggedIn(target);
  const answer = await question(target, session.token);
  if (answer !== undefined) return { isJson, target, session, answer };
  store.remove(session);
  throw await notLoggedIn(target, 'the session has ended');
}

function showJson(value: object): void {
  process.stdout.write(`${escaped(JSON.stringify(value, undefined, 2))}\n`);
}

/** JSON may have such characters as they are, and a terminal may obey them: see {@link printable}. */
function escaped(json: string): string {
  const escapeUnit = (unit: string) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
  return json.replaceAll(/[\x7f-\x9f\p{Cf}\p{Zl}\p{Zp}]/gu, (character) =>
    character.split('').map(escapeUnit).join(''),
  );
}
