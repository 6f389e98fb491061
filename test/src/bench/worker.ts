import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { ownedChild } from './owned-child.ts';

/** A process of its own, started from a file of this folder, that answers one message after the other. */
export interface Worker<Message, Reply> extends AsyncDisposable {
  readonly pid: number;
  /** Sends a message. @throws Error with what the process threw, or that it ended */
  ask(message: Message): Promise<Reply>;
}

type Envelope<Reply> = { readonly reply: Reply } | { readonly error: string };

/** Starts a worker. @param file a file next to this one, such as `client.ts` */
export function startWorker<Message extends object, Reply>(
  file: string | URL,
): Worker<Message, Reply> {
  const child: ChildProcess = fork(fileURLToPath(new URL(file, import.meta.url)), { execArgv: [] });
  const owned = ownedChild(child);
  const ended = once(child, 'exit').then(([code, signal]): never => {
    throw new Error(`${file} ended with ${code ?? signal}`);
  });
  ended.catch(() => {});
  let last: Promise<unknown> = Promise.resolve();

  async function askOnce(message: Message): Promise<Reply> {
    const answered = once(child, 'message') as Promise<[Envelope<Reply>]>;
    child.send(message);
    const [envelope] = await Promise.race([answered, ended]);
    if ('error' in envelope) throw new Error(envelope.error);
    return envelope.reply;
  }

  return {
    pid: child.pid ?? 0,
    ask(message) {
      const reply = last.then(() => askOnce(message));
      // The next message waits for its end, whatever the result is.
      last = reply.catch(() => {});
      return reply;
    },
    [Symbol.asyncDispose]: owned[Symbol.asyncDispose],
  };
}

/** Answers messages in the worker. The process ends with the one that started it. */
export function answerMessages<Message, Reply>(answer: (message: Message) => Promise<Reply>): void {
  process.on('disconnect', () => process.exit());
  process.on('message', (message: Message) => {
    answer(message).then(
      (reply) => process.send?.({ reply }),
      (error: unknown) =>
        process.send?.({
          error: error instanceof Error ? (error.stack ?? error.message) : String(error),
        }),
    );
  });
}
