import { createServer, type RequestListener, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { AnswerTooBig, callHttp, explainHttpError, parseJson } from './http.ts';

async function answerOf(listener: RequestListener, maxSize = 100) {
  const server = createServer(listener);
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const call = request({ port, host: '127.0.0.1', method: 'POST', agent: false });
  return await callHttp(call, { statuses: [200], maxSize }, 'a question');
}

test('an answer has its status, and its body if the status is listed and the body not too big', async () => {
  expect(await answerOf((_, answer) => answer.end('a'.repeat(100)))).toMatchObject({
    status: 200,
    body: { length: 100 },
  });
  expect(await answerOf((_, answer) => answer.writeHead(404).end('a'.repeat(1000)))).toMatchObject({
    status: 404,
    body: { length: 0 },
  });
  await expect(answerOf((_, answer) => answer.end('a'.repeat(101)))).rejects.toBeInstanceOf(
    AnswerTooBig,
  );
});

test.each<{ message: string; listener: RequestListener }>([
  {
    message: 'it answers compressed, unasked',
    listener: (_, answer) => answer.writeHead(200, { 'content-encoding': 'gzip' }).end('a'),
  },
  {
    message: 'the answer is not whole',
    listener: (_, answer) =>
      answer.writeHead(200, { 'content-length': 9 }).write('a', () => answer.destroy()),
  },
])('a call fails where $message', async ({ message, listener }) => {
  await expect(answerOf(listener)).rejects.toThrow(message);
});

test('what is not JSON in UTF-8 is undefined', () => {
  expect(parseJson(Buffer.from('{"a":"é"}'))).toEqual({ a: 'é' });
  expect(parseJson(Buffer.from('{'))).toBeUndefined();
  expect(parseJson(Buffer.from([0x22, 0xff, 0x22]))).toBeUndefined();
});

test.each([
  {
    code: 'ECONNREFUSED',
    message: 'connect ECONNREFUSED 127.0.0.1:1',
    words: 'the connection was refused: is it running, and is this its port?',
  },
  {
    code: 'ENOTFOUND',
    message: 'getaddrinfo ENOTFOUND idp.example.com',
    words: 'DNS does not know the name: check the host in the URL',
  },
  {
    code: 'EAI_AGAIN',
    message: 'getaddrinfo EAI_AGAIN idp.example.com',
    words: 'DNS does not answer',
  },
  { code: 'ECONNRESET', message: 'socket hang up', words: 'socket hang up' },
])('$code is explained in words', ({ code, message, words }) => {
  const error = Object.assign(new Error(message), { code });
  expect(explainHttpError(error, 'idp.example.com')).toBe(words);
  // A host with several addresses has an error for each.
  const several = Object.assign(new AggregateError([error]), { code });
  expect(explainHttpError(several, 'idp.example.com')).toBe(words);
});
