import { join } from 'node:path';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  ada,
  down,
  failed,
  hang,
  isAda,
  no,
  noOpinion,
  refusal,
  startChain,
} from './testing/chain.ts';
import { review } from './testing/clients.ts';
import { runCommand } from './testing/command.ts';
import { scrape } from './testing/scrape.ts';
import type { ScriptedAnswer } from './testing/script-messages.ts';
import { authenticated, type ScriptedBackend } from './testing/scripted-backend.ts';
import { reviewBody } from './testing/token-review.ts';

let chain: Awaited<ReturnType<typeof startChain>>;
beforeAll(async () => {
  // The authenticators of each test recognize only its tokens.
  const names = { recognizes: 'names-' };
  chain = await startChain((backend) => [
    ...['a', 'b', 'c'].map((name) =>
      backend.authenticator(name, { circuit: { minimumCalls: 1000 } }, { recognizes: 'abc-' }),
    ),
    backend.authenticator('stops', { onError: 'stop' }, { recognizes: 'stop-' }),
    backend.authenticator('after', {}, { recognizes: 'stop-' }),
    backend.authenticator('fails', {}, { recognizes: 'log-' }),
    backend.authenticator(
      'hangs',
      { timeout: '100ms', circuit: { openFor: '1h' } },
      { recognizes: 'log-' },
    ),
    backend.authenticator('robots', { username: { prefix: 'robot:' } }, names),
    backend.authenticator(
      'corp',
      { username: { prefix: 'corp:' }, groups: { prefix: 'corp:', allow: ['k8s-*'], max: 3 } },
      names,
    ),
    backend.authenticator('plain', {}, names),
  ]);
});
afterAll(() => chain[Symbol.asyncDispose]());

const unavailableAt = (...names: string[]) => ({
  authenticated: false,
  error: `authenticator${names.length > 1 ? 's' : ''} ${names.join(', ')} unavailable`,
});

describe.concurrent('the chain', () => {
  test('three authenticators give one answer for each combination', async () => {
    const rows: readonly [string, Record<string, ScriptedAnswer>, string[], object][] = [
      [
        'the first positive answer decides',
        { a: noOpinion, b: ada, c: refusal },
        ['a', 'b'],
        isAda,
      ],
      ['the first refusal decides', { a: noOpinion, b: refusal, c: ada }, ['a', 'b'], no],
      ['no one knows it', {}, ['a', 'b', 'c'], no],
      [
        'a positive answer counts after an outage',
        { a: down, b: noOpinion, c: ada },
        ['a', 'b', 'c'],
        isAda,
      ],
      ['a refusal counts after an outage', { a: failed, b: refusal }, ['a', 'b'], no],
      [
        'all that failed are named, in order',
        { a: failed, c: down },
        ['a', 'b', 'c'],
        unavailableAt('a', 'c'),
      ],
    ];
    for (const [name, answers, asked, status] of rows) {
      const token = chain.token(answers, 'abc-');
      expect(await review(chain.client, token), name).toEqual(status);
      expect(
        chain.backend.callsOf(token).map((call) => call.authenticator),
        name,
      ).toEqual(asked);
    }
  });

  test('onError: stop ends the review as an error, and no one after is asked', async () => {
    const token = chain.token({ stops: failed, after: ada }, 'stop-');
    expect(await review(chain.client, token)).toEqual(unavailableAt('stops'));
    expect(chain.backend.callsOf(token)).toHaveLength(1);
  });

  test('a hung authenticator costs five deadlines, then nothing, and the log says why', async () => {
    const message = 'the directory says that the record has no name';
    const fails: ScriptedAnswer = { kind: 'throw', code: 'failed', message };
    const tokens = Array.from({ length: 25 }, () => chain.token({ fails, hangs: hang }, 'log-'));
    for (const token of tokens)
      expect(await review(chain.client, token)).toEqual(unavailableAt('fails', 'hangs'));
    const calls = tokens.flatMap((token) => chain.backend.callsOf(token));
    const hung = calls.filter(({ authenticator }) => authenticator === 'hangs');
    expect(hung).toHaveLength(5);
    await waitFor(() => hung.every((call) => call.aborted), 'the abort of each hung lookup');
    for (const reason of [message, 'no answer within 100ms', 'circuit open']) {
      await waitFor(() => chain.gateway.output.text().includes(reason), `"${reason}" in the log`);
    }
  });

  test('names carry their prefixes, and none may pass for another authenticator’s', async () => {
    const ask = (answers: Record<string, ScriptedAnswer>): Promise<object> =>
      review(chain.client, chain.token(answers, 'names-'));
    const grouped = authenticated('ada', ['k8s-ops', 'wiki']);
    expect(await ask({ corp: grouped })).toMatchObject({
      user: { username: 'corp:ada', groups: ['corp:k8s-ops'] },
    });
    expect(await ask({ plain: authenticated('robot:ci') })).toEqual(no);
    expect(await ask({ plain: authenticated('ada', ['corp:k8s-ops']) })).toEqual(no);
    expect(await ask({ plain: authenticated('ada', ['system:masters']) })).toEqual(no);
    expect(await ask({ plain: authenticated('ada\nroot') })).toEqual(no);
    const rule =
      /the username has a control character, a line end or a mark that turns the direction of writing/;
    await waitFor(() => rule.test(chain.gateway.output.text()), 'the rule in the log');
    const { folder } = chain.gateway;
    const words = ['explain', '--config', join(folder, 'gateway.yaml')];
    expect(
      await runCommand(
        words,
        { cwd: folder },
        chain.token({ plain: authenticated('ada\nroot') }, 'names-'),
      ),
    ).toEqual({
      code: 3,
      stdout: expect.stringMatching(/plain +rejected +\S+ +identity-policy/),
      stderr: expect.stringMatching(rule),
    });
  });

  test('a hung authenticator at full load never keeps the ones before it from answering', async () => {
    const entries = (backend: ScriptedBackend): object[] => [
      backend.authenticator('robots'),
      backend.authenticator('corp', { timeout: '1s' }, { ignoresAbort: true }),
    ];
    await using full = await startChain(entries, { maxInFlight: 20 });
    const statuses: number[] = [];
    const flood = Array.from({ length: 200 }, async () => {
      const response = await full.client.send({ body: reviewBody(full.token({ corp: hang })) });
      statuses.push(response.status);
    });
    const ended = Promise.allSettled(flood);
    const hung = () => full.backend.calls.filter((call) => call.authenticator === 'corp');
    // A quarter of its six slots is for tokens that were accepted before.
    await waitFor(() => hung().length === 5, 'five hung lookups');
    // Only then is the burst over. As long as it lasts, even robots may be asked by maxConcurrent others.
    // Three more may wait.
    await waitFor(() => statuses.length >= 200 - 5 - 3, 'the answers to the others');
    for (let call = 0; call < 50; call++) {
      expect(await review(full.client, full.token({ robots: ada }))).toEqual(isAda);
    }
    // The work ignores its abort, so it counts in maxInFlight until it has ended.
    const inFlight = async () =>
      (await scrape(full.gateway)).value('sallyport_in_flight_token_reviews');
    expect((await ended).every((answer) => answer.status === 'fulfilled')).toBe(true);
    expect([200, 429]).toEqual(expect.arrayContaining([...new Set(statuses)]));
    expect(await inFlight()).toBe(hung().length);
    for (const call of hung()) call.settle(noOpinion);
    await waitFor(async () => (await inFlight()) === 0, 'the end of the hung work');
  });
});
