import { parseWords, targetOptions } from '../arguments.ts';
import { readState } from '../server/login-server.ts';
import { printable } from '../text.ts';
import { localTime } from '../times.ts';
import { askWithSession, readFormat } from './ask-with-session.ts';

/** Shows who the server says that the user is. */
export async function whoami(words: readonly string[]): Promise<void> {
  const { values } = parseWords(words, { ...targetOptions, output: { type: 'string', short: 'o' } });
  const isJson = readFormat(values.output);
  const { target, session, answer } = await askWithSession(values, (server, token) => readState(server, token));
  if (isJson) {
    const { user, groups, expiresAt } = answer;
    const found = { user, groups, cluster: target.cluster, server: target.url, expiresAt };
    process.stdout.write(`${JSON.stringify(found, undefined, 2)}\n`);
    return;
  }
  const lines = [
    ['User', answer.user],
    ['Groups', answer.groups.length === 0 ? 'none' : answer.groups.join(', ')],
    ['Cluster', target.cluster],
    ['Server', target.url],
    ['Until', localTime(session.expiresAt)],
  ];
  process.stdout.write(lines.map(([name = '', value = '']) => `${`${name}:`.padEnd(9)}${printable(value)}\n`).join(''));
}
