import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Authenticator, AuthenticatorError } from '@sallyport/authenticator';
import { recordingContext } from '@sallyport/authenticator/conformance';
import { beforeAll, describe, expect, test } from 'vitest';
import { writeGuide } from './testing/guide.ts';
import { randomToken } from './testing/tokens.ts';

let folder: string;
beforeAll(async () => {
  folder = await writeGuide();
});

const load = (name: string) => import(pathToFileURL(join(folder, 'src', name)).href);

/** What the plugin makes of an answer, from a server below a path that answers as `answer` does. */
async function outcomeOfAnswer(answer: (request: IncomingMessage, response: ServerResponse) => void) {
  const server = createServer(answer).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { default: plugin } = await load('index.ts');
  const { context } = recordingContext({ pluginName: 'tickets', baseDirectory: folder });
  const { port } = server.address() as AddressInfo;
  const authenticator = await plugin.create({ url: `http://127.0.0.1:${port}/api/` }, context);
  const token = `tickets_${randomBytes(16).toString('hex')}`;
  try {
    return await authenticator.authenticate(token, { audiences: [], signal: new AbortController().signal });
  } catch (error) {
    const { code, message, cause } = error as AuthenticatorError;
    return { code, message: message.replace(`:${port}`, ''), cause };
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

describe('the first plugin', () => {
  const json = { 'content-type': 'application/json' };

  test('asks below the path of its URL', async () => {
    const echo = ({ url }: IncomingMessage, response: ServerResponse) =>
      response.writeHead(200, json).end(JSON.stringify({ username: url, groups: [] }));
    expect(await outcomeOfAnswer(echo)).toEqual({
      kind: 'authenticated',
      user: { username: '/api/owner', groups: [] },
    });
  });

  test.each([
    [
      'a connection that is cut in an answer',
      'unavailable',
      /other side closed.*Is the ticket server up\?$/,
      (_request: IncomingMessage, response: ServerResponse) => {
        response.writeHead(200, { ...json, 'content-length': 40 });
        response.write('{"username":"al', () => response.destroy());
      },
    ],
    [
      'an answer that is no JSON',
      'unavailable',
      /answers no JSON: check the URL$/,
      ({ headers }: IncomingMessage, response: ServerResponse) => response.end(`<p>${headers.authorization}`),
    ],
    [
      'an answer that is no HTTP',
      'unavailable',
      /Response does not match the HTTP\/1\.1 protocol.*Is the ticket server up\?$/,
      ({ headers, socket }: IncomingMessage) => socket.end(`what? ${headers.authorization}\r\n\r\n`),
    ],
    [
      'an answer that is too long',
      'failed',
      /answers with more than 65536 bytes$/,
      (_request: IncomingMessage, response: ServerResponse) => response.end(' '.repeat(2 ** 17)),
    ],
  ])('%s is %s, in words that quote nothing', async (_name, code, words, answer) => {
    const outcome = await outcomeOfAnswer(answer);
    expect(outcome).toEqual({ code, message: expect.stringMatching(words), cause: undefined });
    expect(outcome.message).not.toContain('tickets_');
  });
});

describe('users.ts', () => {
  const tokenOf = (text: string) => `users_${Buffer.from(text).toString('base64url')}`;
  const ask = (authenticator: Authenticator, text: string) =>
    authenticator.authenticate(tokenOf(text), { audiences: [], signal: new AbortController().signal });

  /** @param work without the schema, so that it may be impossible */
  async function openUsers(work: number) {
    const account = {
      uid: '1',
      groups: [],
      salt: randomToken(),
      hash: randomBytes(32).toString('hex'),
      disabled: false,
    };
    const users = { alice: { ...account, passwordChanged: new Date().toISOString() } };
    await writeFile(join(folder, 'users.json'), JSON.stringify(users), { mode: 0o600 });
    const { default: plugin } = await load('users.ts');
    const recorded = recordingContext({ pluginName: 'users', baseDirectory: folder });
    const authenticator: Authenticator = await plugin.create({ usersFile: 'users.json', work }, recorded.context);
    return { authenticator, recorded };
  }

  test('takes as long for a name that no user has', async () => {
    const { authenticator } = await openUsers(14);
    const timeOf = async (text: string) => {
      const start = performance.now();
      expect(await ask(authenticator, text)).toMatchObject({ reason: 'invalid-credentials' });
      return performance.now() - start;
    };
    const [known, unknown] = [await timeOf('alice:wrong'), await timeOf('mallory:wrong')];
    console.log(`a wrong password: ${known.toFixed(0)} ms, an unknown name: ${unknown.toFixed(0)} ms`);
    expect(unknown).toBeGreaterThan(known / 10);
  });

  test('settles an attempt as unavailable when the hash fails', async () => {
    const { authenticator, recorded } = await openUsers(40);
    await expect(ask(authenticator, 'alice:wrong')).rejects.toThrow();
    expect(recorded.attempts).toMatchObject([{ subject: 'alice', outcome: 'unavailable' }]);
  });
});
