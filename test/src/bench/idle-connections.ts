/** Clients that ask once and then keep their connections, in a process of their own. */
import http2, { type ClientHttp2Session } from 'node:http2';
import { reviewHeaders, reviewPath } from '../testing/token-review.ts';
import type { Question } from './questions.ts';
import type { ClientFiles } from './tls.ts';
import { answerMessages } from './worker.ts';

export interface IdleMessage {
  readonly url: string;
  readonly tls: ClientFiles;
  readonly count: number;
  readonly question: Question;
}

/** The number of connections that are made at a time. More would wait for the server's only thread. */
const width = 50;

const sessions = new Set<ClientHttp2Session>();

/** Opens the connections, one review on each. @returns how many of them the server has not closed */
answerMessages<IdleMessage, number>(async ({ url, tls, count, question }) => {
  let opened = 0;
  const work = async (): Promise<void> => {
    while (opened++ < count) await open(url, tls, question.body);
  };
  await Promise.all(Array.from({ length: width }, work));
  return sessions.size;
});

async function open(url: string, tls: ClientFiles, body: string): Promise<void> {
  const session = http2.connect(url, tls);
  sessions.add(session);
  session.on('error', () => {});
  session.on('close', () => sessions.delete(session));
  await new Promise<void>((resolve) => {
    session.on('close', resolve);
    const headers = {
      ':method': 'POST',
      ':path': reviewPath,
      'content-length': Buffer.byteLength(body),
      ...reviewHeaders,
    };
    const stream = session.request(headers, { endStream: false });
    stream.on('error', () => {});
    stream.on('end', resolve);
    stream.resume();
    stream.end(body);
  });
}
