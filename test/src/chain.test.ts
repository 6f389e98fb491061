import { join } from 'node:path';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ada, down, failed, hang, isAda, no, noOpinion, refused, startChain } from './testing/chain.ts';
import { review } from './testing/clients.ts';
import { runCommand } from './testing/command.ts';
import type { Answer } from './testing/script-messages.ts';
import { authenticated } from './testing/scripted-backend.ts';

const circuit = { minimumCalls: 1000 };
const names = { recognizes: 'names-' };

let chain: Awaited<ReturnType<typeof startChain>>;
beforeAll(async () => {
  // The authenticators of each test recognise its tokens alone.
  chain = await startChain((backend) => [
    ...['a', 'b', 'c'].map((name) => backend.authenticator(name, { circuit }, { recognizes: 'abc-' })),
    backend.authenticator('stops', { onError: 'stop' }, { recognizes: 'stop-' }),
    backend.authenticator('after', {}, { recognizes: 'stop-' }),
    backend.authenticator('fails', {}, { recognizes: 'log-' }),
    backend.authenticator('hangs', { timeout: '100ms' }, { recognizes: 'log-' }),
    backend.authenticator('selective', { timeout: '300ms' }, { recognizes: 'known-corp-' }),
    backend.authenticator('others', {}, { recognizes: 'known-' }),
    backend.authenticator('robots', { username: { prefix: 'robot:' } }, names),
    backend.authenticator(
      'corp',
      { username: { prefix: 'corp:' }, groups: { prefix: 'corp:', allow: ['k8s-*'], max: 3 } },
      names,
    ),
    backend.authenticator('plain', {}, names),
    backend.authenticator('caches', { cache: { store: 'memory' } }, { recognizes: 'cached-' }),
  ]);
});
afterAll(() => chain[Symbol.asyncDispose]());

describe.concurrent('the chain', () => {
  describe('three authenticators in order', () => {
    const rows: readonly [string, Record<string, Answer>, string[], object][] = [
      ['the first positive answer decides', { a: noOpinion, b: ada, c: refused }, ['a', 'b'], isAda],
      ['the first refusal decides', { a: noOpinion, b: refused, c: ada }, ['a', 'b'], no],
      ['no one knows it', {}, ['a', 'b', 'c'], no],
      ['a positive answer counts after an outage', { a: down, b: noOpinion, c: ada }, ['a', 'b', 'c'], isAda],
      ['a refusal counts after an outage', { a: failed, b: refused }, ['a', 'b'], no],
      [
        'an outage is an error when no one else knows it',
        { b: down },
        ['a', 'b', 'c'],
        { authenticated: false, error: 'authenticator b unavailable' },
      ],
      [
        'all that failed are named, in order',
        { a: failed, c: down },
        ['a', 'b', 'c'],
        { authenticated: false, error: 'authenticators a, c unavailable' },
      ],
    ];

    test('give one answer for each combination', async () => {
      for (const [name, answers, asked, status] of rows) {
        const token = chain.token(answers, 'abc-');
        expect(await review(chain.client, token), name).toEqual(status);
        const names = chain.backend.callsOf(token).map((call) => call.authenticator);
        expect(names, name).toEqual(asked);
      }
    });
  });

  test('onError: stop ends the review as an error, and no one after is asked', async () => {
    const token = chain.token({ stops: failed, after: ada }, 'stop-');
    const error = 'authenticator stops unavailable';
    expect(await review(chain.client, token)).toEqual({ authenticated: false, error });
    expect(chain.backend.callsOf(token)).toHaveLength(1);
  });

  test('the log says why a token could not be checked', async () => {
    const message = 'the directory says that the record has no name';
    const answers: Record<string, Answer> = { fails: { kind: 'throw', code: 'failed', message }, hangs: hang };
    await review(chain.client, chain.token(answers, 'log-'));
    const isLogged = async (reason: string): Promise<boolean> => chain.gateway.output.text().includes(reason);
    await waitFor(() => isLogged(message), "the plugin's reason in the log");
    await waitFor(() => isLogged('no answer within 100ms'), 'the deadline in the log');
  });

  test('a token that an authenticator does not recognise neither waits for it nor fails with it', async () => {
    const tokens = [{ selective: hang, others: ada }, { selective: down }].map((one) => chain.token(one, 'known-'));
    const answers = [];
    for (const token of tokens) answers.push(await review(chain.client, token));
    expect(answers).toEqual([isAda, no]);
    const asked = tokens.flatMap((token) => chain.backend.callsOf(token)).map((call) => call.authenticator);
    expect(asked).toEqual(['others', 'others']);
  });

  test('names carry their prefixes, and none may pass for another authenticator’s', async () => {
    const ask = (answers: Record<string, Answer>): Promise<object> =>
      review(chain.client, chain.token(answers, 'names-'));
    const grouped = authenticated('ada', ['k8s-ops', 'wiki']);
    expect(await ask({ corp: grouped })).toMatchObject({ user: { username: 'corp:ada', groups: ['corp:k8s-ops'] } });
    expect(await ask({ plain: authenticated('robot:ci') })).toEqual(no);
    expect(await ask({ plain: authenticated('ada', ['corp:k8s-ops']) })).toEqual(no);
    expect(await ask({ corp: authenticated('ada', ['k8s-1', 'k8s-2', 'k8s-3', 'k8s-4']) })).toEqual(no);
    const extra = (key: string): Answer => ({
      kind: 'authenticated',
      user: { username: 'ada', extra: { [key]: ['x'] } },
    });
    expect(await ask({ plain: extra('example.com/Team') })).toEqual(no);
    expect(await ask({ plain: extra('authentication.kubernetes.io/node-name') })).toEqual(no);
    expect(await ask({ plain: extra('example.com/team') })).toMatchObject({ authenticated: true });
  });

  test('a name that ends a line or turns the writing lets no one in, fresh or cached, and the rule is in the log', async () => {
    const { backend, client, gateway } = chain;
    const users: readonly (readonly [string, object])[] = [
      ['the username', { username: 'ada\nsystem:admin' }],
      ['the username', { username: 'ada\u202eada' }],
      ['the uid', { username: 'ada', uid: '1\u0000' }],
      ['a group', { username: 'ada', groups: ['dev', 'ops\u061c'] }],
      ['an extra key', { username: 'ada', extra: { 'team\u001b[2J': [] } }],
      ['an extra value', { username: 'ada', extra: { team: ['a', 'b\u0085'] } }],
    ];
    let last = { token: '', rule: '' };
    for (const [what, user] of users) {
      const token = chain.token({ caches: { kind: 'authenticated', user } as Answer }, 'cached-');
      const from = gateway.output.lines.length;
      expect(await review(client, token)).toEqual(no);
      expect(await review(client, token)).toEqual(no);
      expect(backend.callsOf(token)).toHaveLength(1);
      const refusals = () =>
        gateway.output.lines
          .slice(from)
          .filter(({ msg, authenticator }) => msg === 'identity refused by policy' && authenticator === 'caches')
          .map(({ rule }) => rule);
      const rule = `${what} has a control character, a line end or a mark that turns the direction of writing`;
      await waitFor(() => refusals().length === 2, 'both refusals in the log');
      expect(refusals()).toEqual([rule, rule]);
      last = { token, rule };
    }
    const words = ['explain', '--config', join(gateway.folder, 'gateway.yaml')];
    const { code, stdout, stderr } = await runCommand(words, { cwd: gateway.folder }, last.token);
    expect([code, stdout, stderr]).toEqual([
      3,
      expect.stringMatching(/caches +rejected +identity-policy/),
      expect.stringContaining(last.rule),
    ]);
  });
});
