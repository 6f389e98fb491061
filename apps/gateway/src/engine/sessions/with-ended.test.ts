import type { Authenticator, Decision } from '@sallyport/authenticator';
import { expect, test } from 'vitest';
import { withEnded } from './with-ended.ts';

const accepted: Decision = { kind: 'authenticated', user: { username: 'corp:alice' } };
const context = { audiences: [], signal: new AbortController().signal };

function createEndedLayer(answer: () => Decision | Promise<Decision>) {
  const ended = new Set<string>();
  const asked: string[] = [];
  const inner: Authenticator = {
    authenticate(token) {
      asked.push(token);
      return answer();
    },
    close: async () => undefined,
  };
  const layer = withEnded(inner, (token) => ended.has(token));
  return { ended, asked, ask: (token: string) => layer.authenticate(token, context) };
}

test('a session that has ended is refused, and nothing further in is asked', () => {
  const { ended, asked, ask } = createEndedLayer(() => accepted);
  ended.add('gone');
  expect([ask('gone'), ask('good')]).toEqual([{ kind: 'rejected', reason: 'revoked' }, accepted]);
  expect(asked).toEqual(['good']);
});

test('a session that ends while its answer is waited for is refused', async () => {
  const late = Promise.withResolvers<Decision>();
  const { ended, ask } = createEndedLayer(() => late.promise);
  const answer = ask('session');
  ended.add('session');
  late.resolve(accepted);
  expect(await answer).toEqual({ kind: 'rejected', reason: 'revoked' });
});
