import { randomBytes } from 'node:crypto';
import { conformanceCases, type ValidToken } from '@sallyport/authenticator/conformance';
import type { KeyPair } from '@sallyport/test-servers/certificates';
import { afterAll, beforeAll, test } from 'vitest';
import plugin from './index.ts';
import { type ReviewServer, reviewWith, startReviewServer } from './testing/server.ts';
import { optionsFor, prefix } from './testing/written-options.ts';

// An abort must end a call long before its own timeout would. Only what fails waits for the others.
const patience = { deadline: 40_000, recoverWithin: 100_000, limit: 200_000 };
const newToken = () => prefix + randomBytes(24).toString('base64url');
const users: readonly ValidToken[] = Array.from({ length: 150 }, (_, index) => ({
  token: newToken(),
  user: {
    username: `robot-${index}`,
    uid: `${index}`,
    groups: ['robots', `team-${index}`],
    extra: { 'example.com/team': [`team-${index}`] },
  },
}));
const byToken = new Map(users.map(({ token, user }) => [token, user]));
const bearer = randomBytes(24).toString('base64url');

let server: ReviewServer;
let client: KeyPair;
beforeAll(async () => {
  server = await startReviewServer(({ headers, review }) => {
    if (headers.authorization !== `Bearer ${bearer}`) return { status: 401 };
    const user = byToken.get(review.spec.token);
    return { body: reviewWith(user === undefined ? {} : { authenticated: true, user }) };
  });
  client = await server.authority.issueClient('gateway');
});
afterAll(() => server?.[Symbol.asyncDispose]());

const cases = conformanceCases({
  plugin,
  get options() {
    const tls = { certFile: client.certificateFile, keyFile: client.keyFile };
    return optionsFor(server, { ...tls, bearer, onUnauthenticated: 'rejected' });
  },
  badOptions: [
    { options: { url: 'https://a.example.com' }, key: 'recognizes' },
    { options: { url: 'http://a.example.com', recognizes: { prefixes: [prefix] } }, key: 'url' },
    {
      options: { url: 'https://a.example.com', recognizes: { pattern: '(?=x)' } },
      key: 'recognizes.pattern',
    },
  ],
  baseDirectory: '/',
  validTokens: users.slice(0, 4),
  rejectedTokens: [{ token: newToken(), reason: 'invalid-credentials' }],
  foreignTokens: [randomBytes(24).toString('base64url'), 'alice:password', 'eyJ.eyJ.x'],
  secrets: [bearer],
  get backend() {
    return { stop: () => server.stop(), start: () => server.start(), hang: () => server.hang() };
  },
  sendsPasswords: false,
  watchesFiles: true,
  manyTokens: async (count) => users.slice(0, count),
  ...patience,
});

for (const { name, run } of cases) test(name, run);
