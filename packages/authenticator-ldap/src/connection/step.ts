import type { Socket } from 'node:net';
import { type FaultKind, ServerFault, type Step } from './server-fault.ts';
import type { Server } from './types.ts';

/** Makes the faults of one step with one server; messages are "url: step: problem". */
export type Fault = (kind: FaultKind, problem: string, cause?: unknown) => ServerFault;

const stepNames: Readonly<Record<Step, string>> = {
  connect: 'connecting',
  tls: 'TLS',
  starttls: 'StartTLS',
  bind: 'bind',
  search: 'search',
};

export function faultsOf(server: Server, step: Step): Fault {
  return (kind, problem, cause) =>
    new ServerFault(kind, step, `${server.url}: ${stepNames[step]}: ${problem}`, cause === undefined ? {} : { cause });
}

export interface StepOptions {
  /** Destroyed unless the step succeeds. */
  readonly socket: Socket;
  readonly signal: AbortSignal;
  /** Milliseconds. */
  readonly timeout: number;
  readonly onTimeout: () => ServerFault;
}

/** How `start` tells the end of its step; the first one counts. */
export interface StepEnd<T> {
  succeed(value: T): void;
  fail(fault: unknown): void;
}

/**
 * Runs one step of making a connection. It ends once: by `start`, by the timer, or by the signal, whose reason it then
 * throws. Unless it succeeded, the socket is gone.
 *
 * @param start begins the step; what it returns is called at the end, to take its listeners away
 */
export function runStep<T>(options: StepOptions, start: (end: StepEnd<T>) => () => void): Promise<T> {
  const { socket, signal, timeout, onTimeout } = options;
  return new Promise<T>((resolve, reject) => {
    let stop: (() => void) | undefined;
    let isOver = false;
    const finish = (settle: () => void) => {
      if (isOver) {
        return;
      }
      isOver = true;
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      stop?.();
      settle();
    };
    const fail = (fault: unknown) =>
      finish(() => {
        socket.destroy();
        reject(fault);
      });
    const onAbort = () => fail(signal.reason);
    const timer = setTimeout(() => fail(onTimeout()), timeout);
    signal.addEventListener('abort', onAbort);
    if (signal.aborted) {
      onAbort();
      return;
    }
    try {
      stop = start({ succeed: (value) => finish(() => resolve(value)), fail });
    } catch (error) {
      fail(error);
    }
    if (isOver) {
      stop?.();
    }
  });
}

/** An error event after the last listener was taken away would end the process (rule: a listener from birth to death). */
export function ignoreErrors(socket: Socket): void {
  socket.on('error', () => {
    // Whoever uses the socket has a listener of its own, or sees the close.
  });
}

/** For messages: "5 s", "300 ms". */
export function seconds(milliseconds: number): string {
  return milliseconds % 1000 === 0 ? `${milliseconds / 1000} s` : `${milliseconds} ms`;
}
