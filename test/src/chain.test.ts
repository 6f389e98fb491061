import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ada, down, failed, hang, isAda, no, noOpinion, refused, startChain } from './testing/chain.ts';
import { review } from './testing/clients.ts';
import { runCommand } from './testing/command.ts';
import type { Answer } from './testing/script-messages.ts';
import { authenticated } from './testing/scripted-backend.ts';
import { waitFor } from './testing/wait-for.ts';

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
      const circuit = { minimumCalls: 1000 };
      await using chain = await startChain((backend) =>
        ['a', 'b', 'c'].map((name) => backend.authenticator(name, { circuit })),
      );
      for (const [name, answers, asked, status] of rows) {
        const token = chain.token(answers);
        expect(await review(chain.client, token), name).toEqual(status);
        const names = chain.backend.callsOf(token).map((call) => call.authenticator);
        expect(names, name).toEqual(asked);
      }
    });
  });

  test('onError: stop ends the review as an error, and no one after is asked', async () => {
    await using chain = await startChain((backend) => [
      backend.authenticator('a', { onError: 'stop' }),
      backend.authenticator('b'),
    ]);
    const token = chain.token({ a: failed, b: ada });
    expect(await review(chain.client, token)).toEqual({ authenticated: false, error: 'authenticator a unavailable' });
    expect(chain.backend.callsOf(token)).toHaveLength(1);
  });

  test('the log says why a token could not be checked', async () => {
    await using chain = await startChain((backend) => [backend.authenticator('corp', { timeout: '100ms' })]);
    const message = 'the directory says that the record has no name';
    await review(chain.client, chain.token({ corp: { kind: 'throw', code: 'failed', message } }));
    await review(chain.client, chain.token({ corp: hang }));
    const isLogged = async (reason: string): Promise<boolean> => chain.gateway.output.text().includes(reason);
    await waitFor(() => isLogged(message), "the plugin's reason in the log");
    await waitFor(() => isLogged('no answer within 100ms'), 'the deadline in the log');
  });

  test('a token that an authenticator does not recognise neither waits for it nor fails with it', async () => {
    await using chain = await startChain((backend) => [
      backend.authenticator('corp', { timeout: '300ms' }, { recognizes: 'corp-' }),
      backend.authenticator('robots'),
    ]);
    expect(await review(chain.client, chain.token({ corp: hang, robots: ada }))).toEqual(isAda);
    expect(await review(chain.client, chain.token({ corp: down }))).toEqual(no);
    expect(chain.backend.calls.map((call) => call.authenticator)).toEqual(['robots', 'robots']);
  });

  test('names carry their prefixes, and none may pass for another authenticator’s', async () => {
    await using chain = await startChain((backend) => [
      backend.authenticator('robots', { username: { prefix: 'robot:' } }),
      backend.authenticator('corp', {
        username: { prefix: 'corp:' },
        groups: { prefix: 'corp:', allow: ['k8s-*'], max: 3 },
      }),
      backend.authenticator('plain'),
    ]);
    const ask = (answers: Record<string, Answer>): Promise<object> => review(chain.client, chain.token(answers));
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
    await using chain = await startChain((backend) => [backend.authenticator('corp', { cache: { store: 'memory' } })]);
    const { backend, client, gateway } = chain;
    const users: readonly (readonly [string, object])[] = [
      ['the username', { username: 'ada\nsystem:admin' }],
      ['the username', { username: 'ada\u202eada' }],
      ['the uid', { username: 'ada', uid: '1\u0000' }],
      ['a group', { username: 'ada', groups: ['dev', 'ops\u061c'] }],
      ['an extra key', { username: 'ada', extra: { 'team\u001b[2J': [] } }],
      ['an extra value', { username: 'ada', extra: { team: ['a', 'b\u0085'] } }],
    ];
    for (const [what, user] of users) {
      const token = chain.token({ corp: { kind: 'authenticated', user } as Answer });
      const from = gateway.output.lines.length;
      expect(await review(client, token)).toEqual(no);
      expect(await review(client, token)).toEqual(no);
      expect(backend.callsOf(token)).toHaveLength(1);
      const refusals = () =>
        gateway.output.lines
          .slice(from)
          .filter(({ msg }) => msg === 'identity refused by policy')
          .map(({ rule }) => rule);
      const rule = `${what} has a control character, a line end or a mark that turns the direction of writing`;
      await waitFor(() => refusals().length === 2, 'both refusals in the log');
      expect(refusals()).toEqual([rule, rule]);
      const words = ['explain', '--config', join(gateway.folder, 'gateway.yaml')];
      const { code, stdout, stderr } = await runCommand(words, { cwd: gateway.folder }, token);
      expect([code, stdout, stderr]).toEqual([
        3,
        expect.stringMatching(/corp +rejected +identity-policy/),
        expect.stringContaining(rule),
      ]);
    }
  });
});
