import { parseWords, targetOptions } from '../arguments.ts';
import { listSessions } from '../server/login-server.ts';
import { printable, table } from '../text.ts';
import { localTime } from '../times.ts';
import { askWithSession, readFormat } from './ask-with-session.ts';

/** Lists the sessions of the user, of all devices. */
export async function sessions(words: readonly string[]): Promise<void> {
  const { values } = parseWords(words, { ...targetOptions, output: { type: 'string', short: 'o' } });
  const isJson = readFormat(values.output);
  const { answer } = await askWithSession(values, listSessions);
  if (isJson) {
    process.stdout.write(`${JSON.stringify(answer, undefined, 2)}\n`);
    return;
  }
  const rows = answer.map((one) => [
    one.current ? '*' : '',
    printable(one.device) || '-',
    printable(one.cluster) || '-',
    localTime(one.since),
    one.lastUsedAt === '' ? '-' : localTime(one.lastUsedAt),
    localTime(one.expiresAt),
  ]);
  process.stdout.write(table([['', 'DEVICE', 'CLUSTER', 'SINCE', 'LAST USE', 'UNTIL'], ...rows]));
}
