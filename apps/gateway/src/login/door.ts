import type { IncomingMessage, ServerResponse } from 'node:http';
import { constants } from 'node:http2';
import { BlockList, isIP, isIPv6 } from 'node:net';
import { discardBody, type ErrorAnswer } from '../http/answer-errors.ts';
import { createFairTurns } from '../http/fair-turns.ts';
import {
  endConnection,
  isClosed,
  onceClosed,
  type ServerAnswer,
  type ServerRequest,
} from '../http/http-server.ts';
import { withoutRest } from '../http/read-body.ts';
import { createFairLimit, nameNetwork, plain } from '../http/socket-limit.ts';
import { doorLimits, maxProxies } from './limits.ts';
import type { AnsweredRequest } from './login-facts.ts';
import { createAddressLimit, createRateLimit } from './rate-limit.ts';

interface DoorOptions {
  /** The networks of `login.trustedProxies`, read at each request. */
  readonly proxies: () => BlockList | undefined;
  /** The headers of every answer, read at each answer of the door. */
  readonly headers: () => Readonly<Record<string, string>>;
  /** Makes the answer to a request that is refused. */
  readonly refusal: (request: ServerRequest) => ErrorAnswer | undefined;
  readonly report: (facts: AnsweredRequest) => void;
  /** The milliseconds in which a client must end a body over HTTP/2 that was refused. */
  readonly discardTimeout: number;
  /** Reads monotonic milliseconds. */
  readonly now: () => number;
}

const addresses = new WeakMap<ServerRequest, string>();
const cutOff = new WeakSet<ServerRequest>();

/**
 * Returns the address that a request of {@link createDoor} came from, even when its client has gone; '' for other
 * requests.
 */
export function readAddress(request: ServerRequest): string {
  return addresses.get(request) ?? '';
}

/** Whether the door has cut off a request that it had let in: its client has not gone by itself. */
export function isCutOff(request: ServerRequest): boolean {
  return cutOff.has(request);
}

interface DoorVisit {
  readonly request: ServerRequest;
  readonly response: ServerAnswer;
  /** False if a proxy sent it: then its connection carries requests of other clients, too. */
  readonly isDirect: boolean;
  /** Takes it out of the queue. It is undefined if the request is not in the queue. */
  leave?: (() => void) | undefined;
}

/** Ends the connection of a body in too many pieces as they arrive: 65,000 could wait in memory for the turn of their request. */
function limitPieces(request: ServerRequest): void {
  let piecesLeft = doorLimits.bodyPieces;
  const push = request.push;
  request.push = (piece, encoding) => {
    piecesLeft -= 1;
    if (piecesLeft === -1) endConnection(request);
    return piecesLeft >= 0 && push.call(request, piece && withoutRest(piece), encoding);
  };
}

/** Calls `act` when a request is answered, or its client has gone. */
function onceGone({ request: { socket }, response }: DoorVisit, act: () => void): void {
  if ('stream' in response) {
    onceClosed(response, act);
    return;
  }
  const proceed = () => {
    socket.off('close', proceed);
    act();
  };
  onceClosed(response, proceed);
  // A pipelined answer that has not begun is not closed with its connection.
  socket.once('close', proceed);
}

/**
 * Counts requests before anything is made for them, and lets in one in each turn of the event loop: see {@link
 * createFairTurns}. Each is some milliseconds of work, its 429 included: the requests of hundreds of people, done
 * together, would make token reviews wait, and queued together they would take all memory.
 *
 * @param answer answers each request that is let in
 */
export function createDoor(
  answer: (request: IncomingMessage, response: ServerResponse) => unknown,
  { proxies, headers, refusal, report, discardTimeout, now }: DoorOptions,
): (request: ServerRequest, response: ServerAnswer) => void {
  const noProxies = new BlockList();
  const turn = createFairTurns({
    waiting: doorLimits.waiting,
    inProgress: Number.POSITIVE_INFINITY,
  });
  const refused = createAddressLimit(() => doorLimits.refusals, now);
  const allRefused = createRateLimit(() => doorLimits.allRefusals, now);
  const limited = (address: string) =>
    report({ at: Date.now(), seconds: 0, action: 'none', outcome: 'limited', address });
  const inProgress = createFairLimit<DoorVisit>(
    () => doorLimits.inProgress,
    ({ request, response, isDirect, leave }) => {
      // A request that was let in is reported where it is answered.
      if (leave === undefined) cutOff.add(request);
      else {
        leave();
        limited(readAddress(request));
      }
      if (isDirect || !('stream' in response)) endConnection(request);
      else response.stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    },
  );
  function refuse(request: ServerRequest, response: ServerAnswer): void {
    const { code = 429, body, headers: ownHeaders } = refusal(request) ?? {};
    const isPage = typeof body === 'string';
    const responseHeaders = {
      ...headers(),
      ...ownHeaders,
      'Content-Type': `${isPage ? 'text/html' : 'application/json'}; charset=utf-8`,
    };
    response.statusCode = code;
    for (const [name, value] of Object.entries(responseHeaders)) response.setHeader(name, value);
    const text = isPage ? body : JSON.stringify(body);
    response.end(request.method === 'HEAD' ? undefined : text);
    discardBody(
      { req: request as IncomingMessage, res: response as ServerResponse },
      code,
      discardTimeout,
    );
  }
  return (request, response) => {
    const address = clientAddress(request, proxies() ?? noProxies);
    addresses.set(request, address);
    limitPieces(request);
    const isDirect = address === plain(request.socket.remoteAddress ?? '');
    const visit: DoorVisit = { request, response, isDirect };
    onceGone(visit, () => {
      visit.leave?.();
      inProgress.delete(visit);
    });
    const network = nameNetwork(address);
    visit.leave = turn(network, (end) => {
      visit.leave = undefined;
      end();
      if (!isClosed(response)) answer(request as IncomingMessage, response as ServerResponse);
    });
    // A refused request is in progress as well: its client may leave the answer unread, or go on with the body.
    const isQueued = visit.leave !== undefined;
    inProgress.add(visit, network);
    if (isQueued) return;
    limited(address);
    const isTooMany = [refused.take(address), allRefused.take('')].some(
      (turn) => typeof turn === 'number',
    );
    if (isTooMany && isDirect) endConnection(request);
    else refuse(request, response);
  };
}

/**
 * Finds the address that a request came from. A proxy adds the address of its client at the end of `X-Forwarded-For`,
 * so what a client has written itself is before that: the last address that is not a proxy counts.
 */
export function clientAddress(request: ServerRequest, proxies: BlockList): string {
  let address = plain(request.socket?.remoteAddress ?? '');
  const header = request.headers['x-forwarded-for'];
  const hops = typeof header === 'string' ? header.split(',').slice(-maxProxies) : [];
  while (isIP(address) !== 0 && proxies.check(address, isIPv6(address) ? 'ipv6' : 'ipv4')) {
    // Some proxies write `192.0.2.1:5678`, or `[2001:db8::1]:5678`.
    const hop = hops
      .pop()
      ?.trim()
      .replace(/^\[([^\]]*)\](:\d+)?$|^([\d.]+):\d+$/, '$1$3');
    const next = plain(hop ?? '');
    if (isIP(next) === 0) break;
    address = next;
  }
  return address;
}
