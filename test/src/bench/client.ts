/** The load client, in a process of its own: HTTP/2 on one connection, as kube-apiserver's client, or HTTP/1.1 on several. */
import http2 from 'node:http2';
import https from 'node:https';
import { reviewHeaders, reviewPath, type TokenReview } from '../testing/token-review.ts';
import {
  type Driven,
  drive,
  type OfferedPoint,
  type Order,
  offer,
  type Protocol,
} from './drive.ts';
import { numberedQuestion, type Question } from './questions.ts';
import type { ClientFiles } from './tls.ts';
import { answerMessages } from './worker.ts';

interface Target {
  readonly id: number;
  readonly url: string;
  readonly tls: ClientFiles;
  /** The questions, which are asked in turn. With `numbered`, each is another one of `numberedQuestion`. */
  readonly questions: readonly Question[] | 'numbered';
}

export type ClientMessage =
  | { readonly kind: 'target'; readonly target: Target }
  | { readonly kind: 'drive'; readonly id: number; readonly order: Order }
  | {
      readonly kind: 'offer';
      readonly id: number;
      readonly rate: number;
      readonly seconds: number;
    };

interface RawAnswer {
  readonly status: number;
  readonly text: string;
}

type Send = (body: string) => Promise<RawAnswer>;

interface Asked {
  readonly question: (index: number) => Question;
  readonly send: Record<Protocol, Send>;
  /** The number of the next question. A turn goes on where the last one ended. */
  next: number;
}

const targets = new Map<number, Asked>();

answerMessages<ClientMessage, Driven | OfferedPoint | undefined>(async (message) => {
  if (message.kind === 'target') {
    const { id, url, tls, questions } = message.target;
    const listed = (index: number) => questions[index % questions.length] as Question;
    const question = questions === 'numbered' ? numberedQuestion : listed;
    targets.set(id, {
      question,
      send: { h2: http2Sender(url, tls), 'http1.1': http1Sender(url, tls) },
      next: 0,
    });
    return undefined;
  }
  const asked = targets.get(message.id);
  if (asked === undefined) throw new Error(`no target ${message.id}`);
  const once = (protocol: Protocol) => async (): Promise<void> => {
    const question = asked.question(asked.next++);
    check(await asked.send[protocol](question.body), question);
  };
  if (message.kind === 'offer') return await offer(message.rate, message.seconds, once('h2'));
  return await drive(message.order, once(message.order.protocol));
});

function check({ status, text }: RawAnswer, { username }: Question): void {
  const review = status === 200 ? (JSON.parse(text) as TokenReview).status : undefined;
  const isRight =
    review?.authenticated === (username !== undefined) &&
    review.user?.username === username &&
    review.error === undefined;
  if (!isRight)
    throw new Error(
      `expected ${username ?? 'not authenticated'}, but the answer is ${status} ${text}`,
    );
}

function http2Sender(url: string, tls: ClientFiles): Send {
  let current: http2.ClientHttp2Session | undefined;
  const session = (): http2.ClientHttp2Session => {
    if (current === undefined || current.closed || current.destroyed) {
      const opened = http2.connect(url, tls);
      opened.on('error', () => {});
      opened.on('goaway', () => opened.close());
      current = opened;
    }
    return current;
  };
  return (body) =>
    new Promise((resolve, reject) => {
      const length = String(Buffer.byteLength(body));
      const headers = {
        ':method': 'POST',
        ':path': reviewPath,
        'content-length': length,
        ...reviewHeaders,
      };
      const stream = session().request(headers, { endStream: false });
      let status = 0;
      let text = '';
      stream.setEncoding('utf8');
      stream.on('response', (incoming) => {
        status = Number(incoming[':status']);
      });
      stream.on('data', (chunk: string) => {
        text += chunk;
      });
      stream.on('end', () => resolve({ status, text }));
      stream.on('error', reject);
      stream.end(body);
    });
}

function http1Sender(url: string, tls: ClientFiles): Send {
  const agent = new https.Agent({ ...tls, keepAlive: true, ALPNProtocols: ['http/1.1'] });
  const address = new URL(reviewPath, url);
  return (body) =>
    new Promise((resolve, reject) => {
      const headers = { 'content-length': Buffer.byteLength(body), ...reviewHeaders };
      const request = https.request(address, { method: 'POST', agent, headers }, (incoming) => {
        let text = '';
        incoming.setEncoding('utf8');
        incoming.on('data', (chunk: string) => {
          text += chunk;
        });
        incoming.on('end', () => resolve({ status: incoming.statusCode ?? 0, text }));
        incoming.on('error', reject);
      });
      request.on('error', reject);
      request.end(body);
    });
}
