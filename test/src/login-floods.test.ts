import { randomToken } from '@sallyport/test-servers/tokens';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import {
  cancelled,
  countFrames,
  endCodes,
  requestBegun,
  settingsAcknowledged,
} from './testing/http2-frames.ts';
import { type FloodedLogin, smallRequest, startFloodedLogin } from './testing/login-floods.ts';
import { publicHost } from './testing/login-gateway.ts';

let login: FloodedLogin;
beforeAll(async () => {
  login = await startFloodedLogin({ login: { limits: { perAddress: '2/h' } } });
});
afterAll(() => login[Symbol.asyncDispose]());
afterEach(async () => {
  await login.expectServed();
  expect(
    login.gateway.output.lines.filter(({ level }) => level === 'error' || level === 'fatal'),
  ).toEqual([]);
});

/** Counts the requests of others than 127.0.0.2 that the login server has answered or let in, by its own log. */
function counted(from: number): number {
  const isRequest = (msg: string) => msg.startsWith('login request');
  const { lines } = login.gateway.output;
  return lines.slice(from).filter(({ msg, address }) => isRequest(msg) && address === '127.0.0.1')
    .length;
}

/** Floods while someone else logs in and out. @returns how many requests of the flood the login server has counted */
async function during(flood: () => Promise<unknown>): Promise<number> {
  const from = login.gateway.output.lines.length;
  await Promise.all([flood(), login.expectServed()]);
  await login.expectServed();
  return counted(from);
}

const connections = 40;
const each = <Result>(act: () => Promise<Result>) =>
  Promise.all(Array.from({ length: connections }, act));

test('requests that are pipelined over HTTP/1.1 end their connection: it gets two answers at most', async () => {
  let answers: number[] = [];
  const requests = await during(async () => {
    answers = await each(async () => {
      const { socket, received, closed } = await login.open('http/1.1');
      socket.write(smallRequest.repeat(60));
      await closed();
      return String(received()).split('HTTP/1.1 ').length - 1;
    });
  });
  expect(Math.max(...answers)).toBeLessThanOrEqual(2);
  expect(requests).toBeLessThanOrEqual(2 * connections);
});

const head = {
  ':method': 'POST',
  ':scheme': 'https',
  ':path': '/v1/sessions',
  ':authority': publicHost,
};

test('of 250 requests of an HTTP/2 session 2 are let in', async () => {
  let answers: number[] = [];
  const requests = await during(async () => {
    answers = await each(async () => {
      const { socket, received, closed } = await login.open('h2');
      socket.write(
        Buffer.concat(Array.from({ length: 250 }, (_, index) => requestBegun(2 * index + 1, head))),
      );
      await closed();
      return countFrames(received()).headers;
    });
  });
  expect(Math.max(...answers)).toBeLessThanOrEqual(2);
  expect(requests).toBeLessThanOrEqual(2 * connections);
});

test.each(['immediately', 'after the settings'])(
  'requests with more headers than a browser sends are reset over HTTP/2, %s',
  async (when) => {
    // Each counts 32 bytes more than it has (RFC 9113, section 10.5.1): 18 KB in all, and the limit is 16.
    const many = Array.from({ length: 95 }, (_, index) => [`x-${index}`, 'a'.repeat(160)]);
    const large = { ...head, ...Object.fromEntries(many) };
    let frames: ReturnType<typeof countFrames>[] = [];
    const requests = await during(async () => {
      frames = await each(async () => {
        const { socket, received } = await login.open('h2');
        if (when !== 'immediately') {
          await expect.poll(() => countFrames(received()).settings).toBe(2);
          socket.write(settingsAcknowledged);
        }
        for (let stream = 1; stream <= 15; stream += 2) socket.write(requestBegun(stream, large));
        await expect.poll(() => socket.closed || countFrames(received()).reset >= 8).toBe(true);
        socket.destroy();
        return countFrames(received());
      });
    });
    expect(frames.map(({ headers }) => headers)).toEqual(frames.map(() => 0));
    expect(requests).toBe(0);
  },
);

test('requests that are reset the moment they begin end their session', async () => {
  let codes: number[][] = [];
  await during(async () => {
    codes = await each(async () => {
      const { socket, received, closed } = await login.open('h2');
      const streams = Array.from({ length: 100 }, (_, index) => 2 * index + 1);
      socket.write(
        Buffer.concat(streams.flatMap((stream) => [requestBegun(stream, head), cancelled(stream)])),
      );
      await closed();
      return endCodes(received());
    });
  });
  // An idle session ends without an error.
  expect(codes.filter((all) => !all.some((code) => code !== 0))).toEqual([]);
});

test('clients that hang up over HTTP/2 before their turn cause no error', async () => {
  for (let round = 0; round < 5; round += 1) {
    await during(() =>
      each(async () => {
        const { socket, closed } = await login.open('h2');
        const streams = [1, 3, 5, 7, 9, 11, 13, 15].map((stream) => requestBegun(stream, head));
        socket.write(Buffer.concat(streams), () => socket.destroy());
        await closed();
      }),
    );
  }
});

test('bodies in pieces of a byte end their connection, unanswered', async () => {
  const begin = `POST /v1/sessions HTTP/1.1\r\nHost: ${publicHost}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n`;
  let answers: string[] = [];
  await during(async () => {
    answers = await each(async () => {
      const { socket, received, closed } = await login.open('http/1.1');
      // These are fewer bytes than a body may have, and the body would be answered once it is late.
      socket.write(begin + '1\r\n \r\n'.repeat(500));
      await closed();
      return String(received());
    });
  });
  expect(answers).toEqual(answers.map(() => ''));
});

test('logouts with made-up tokens are limited by address, and others can log out', async () => {
  let statuses: string[] = [];
  await during(async () => {
    const answers = await each(async () => {
      const { socket, received } = await login.open('http/1.1');
      const host = `Host: ${publicHost}`;
      const found: string[] = [];
      for (let count = 1; count <= 5; count += 1) {
        socket.write(
          `DELETE /v1/session HTTP/1.1\r\n${host}\r\nAuthorization: Bearer ${randomToken()}\r\n\r\n`,
        );
        await expect.poll(() => String(received()).split('HTTP/1.1 ').length).toBe(count + 1);
        found.push(String(received()).split('HTTP/1.1 ').at(-1)?.slice(0, 3) ?? '');
      }
      socket.destroy();
      return found;
    });
    statuses = answers.flat();
  });
  // The limit is ten times that of wrong passwords.
  const found = Object.groupBy(statuses, (status) => status);
  expect(Object.keys(found).sort()).toEqual(['401', '429']);
  expect(found['401']?.length).toBeLessThanOrEqual(20);
});
