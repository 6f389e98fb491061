import type { Credential, Decision } from '@sallyport/authenticator';
import { describe, expect, test } from 'vitest';
import { createMemoryTier } from '../engine/cache/memory-tier.ts';
import { chain } from '../engine/chain/chain.ts';
import type { AssembleOptions } from './assemble-link.ts';
import { blockEntry, linkOf } from './testing/link-parts.ts';

const config: AssembleOptions['config'] = {
  name: 'corp',
  timeout: 3000,
  maxConcurrent: 100,
  maxWaiting: 0,
  circuit: { minimumCalls: 5, openFor: 5000 },
  onError: 'stop',
  username: { prefix: 'corp:' },
  groups: { prefix: 'corp:', max: 10 },
  allowSystemNames: [],
  allowCredentialId: false,
  cache: 'off',
  fingerprint: 'of the config',
};

const blocks: AssembleOptions['blocks'] = {
  isUnknown: false,
  findByToken: (token) => (token === 'corp-stolen' ? blockEntry : undefined),
  findByUser: (username) => (username === 'corp:mallory' ? blockEntry : undefined),
  findByCredential: ({ jti }) => (jti === 'stolen' ? blockEntry : undefined),
};
/** Makes a link around a plugin made of a class, whose methods need their `this`. */
function linkPlugin(answer: () => unknown, more: Partial<AssembleOptions> = {}) {
  class Plugin {
    asked = 0;
    closed = 0;
    recognizes(token: string): boolean {
      return this.asked >= 0 && token.startsWith('corp-');
    }
    async authenticate(): Promise<Decision> {
      this.asked++;
      return answer() as Decision;
    }
    async check(): Promise<void> {
      if (this.asked === 0) throw new Error('never asked');
    }
    async close(): Promise<void> {
      this.closed++;
    }
  }
  const plugin = new Plugin();
  const logged: [string, object][] = [];
  const link = linkOf({
    config,
    authenticator: plugin,
    prefixes: { usernames: ['corp:'], groups: ['corp:'] },
    apiAudiences: () => ['api'],
    logger: {
      info: (fields) => logged.push(['info', fields]),
      warn: (fields) => logged.push(['warn', fields]),
    },
    policyLog: () => {},
    clocks: { monotonic: () => 0, wall: () => 1000 },
    blocks,
    onAbandoned: () => {},
    ...more,
  });
  const links = chain([link], () => 0);
  const ask = (token = 'corp-1', audiences: string[] = []) =>
    links.authenticate(token, { audiences, signal: new AbortController().signal });
  return { plugin, link, ask, logged };
}

describe('the layers of one authenticator', () => {
  test('all act on an answer', async () => {
    const answer = {
      kind: 'authenticated',
      user: { username: 'jane', groups: ['a'] },
      audiences: ['api', 'b'],
      other: 1,
    };
    const { ask, link } = linkPlugin(() => answer);
    expect(await ask()).toStrictEqual({
      kind: 'authenticated',
      user: { username: 'corp:jane', groups: ['corp:a'] },
      audiences: ['api'],
    });
    expect(await ask('corp-1', ['b'])).toMatchObject({ audiences: ['b'] });
    expect([link.name, link.onError, link.guard.circuitState]).toEqual(['corp', 'stop', 'closed']);
  });

  test('name the subject as the backend knows it', async () => {
    const user = { username: 'jane' };
    const subject = 'jane';
    const answers: Record<string, object> = {
      'audience-mismatch': { user, audiences: [] },
      'identity-policy': { user: { ...user, extra: { 'k8s.io/x': [] } } },
      expired: { user, expiresAt: new Date(1000) },
    };
    for (const [reason, answer] of Object.entries(answers)) {
      const { ask } = linkPlugin(() => ({ kind: 'authenticated', ...answer }));
      const audiences = reason === 'audience-mismatch' && { audiences: [] };
      expect(await ask()).toStrictEqual({ kind: 'rejected', reason, subject, ...audiences });
    }
  });

  test('check cached answers like fresh ones: by audiences, by the policy of now, and by blocks', async () => {
    const lifetimes = { authenticatedTtl: 1000, rejectedTtl: 1000, unknownTtl: 1000, staleTtl: 0 };
    const caching = {
      memory: createMemoryTier(100),
      revocations: { revision: 0, isCutOff: false, isRevoked: () => false },
      metrics: { lookup: () => {}, coalesced: () => {} },
    };
    const answers = (
      username: string,
      allowSystemNames: readonly string[] = [],
      credential?: Credential,
    ) => {
      const user = { username, groups: ['system:x'] };
      const link = {
        ...config,
        cache: { store: 'memory', ...lifetimes },
        fingerprint: username + credential?.jti,
        groups: { prefix: '', max: 10 },
        allowSystemNames,
      } as const;
      return linkPlugin(() => ({ kind: 'authenticated', user, credential, audiences: ['api'] }), {
        cache: caching,
        config: link,
      });
    };
    const strict = answers('jane');
    for (let call = 0; call < 3; call++)
      expect(await strict.ask()).toMatchObject({ reason: 'identity-policy' });
    expect(strict.plugin.asked).toBe(1);
    // The same answer, in another generation that allows it.
    const lenient = answers('jane', ['system:*']);
    expect(await lenient.ask()).toMatchObject({
      user: { username: 'corp:jane' },
      audiences: ['api'],
    });
    expect(lenient.plugin.asked).toBe(0);
    expect(await lenient.ask('corp-1', ['b'])).toMatchObject({ reason: 'audience-mismatch' });
    for (const [name, credential] of [['mallory'], ['jane', { jti: 'stolen' }]] as const) {
      const blocked = answers(name, ['system:*'], credential);
      for (let call = 0; call < 2; call++)
        expect(await blocked.ask()).toMatchObject({ reason: 'blocked' });
      expect(blocked.plugin.asked).toBe(1);
    }
  });

  test('ask no backend about a blocked token', async () => {
    const { ask, plugin } = linkPlugin(() => ({
      kind: 'authenticated',
      user: { username: 'jane' },
    }));
    expect(await ask('corp-stolen')).toStrictEqual({ kind: 'rejected', reason: 'blocked' });
    expect(plugin.asked).toBe(0);
  });

  test('leave recognition, the check and the end to the plugin', async () => {
    const { ask, link, plugin } = linkPlugin(() => ({ kind: 'no-opinion' }));
    const { signal } = new AbortController();
    await expect(link.authenticator.check?.(signal)).rejects.toThrow('never asked');
    expect(await ask('other')).toEqual({ kind: 'no-opinion' });
    expect(plugin.asked).toBe(0);
    await ask();
    await link.authenticator.check?.(signal);
    await link.authenticator.close();
    expect([plugin.asked, plugin.closed]).toEqual([1, 1]);
  });

  test('do not open the circuit for an unsound answer', async () => {
    const { ask, link } = linkPlugin(() => ({ kind: 'yes' }));
    for (let call = 0; call < 10; call++)
      await expect(ask()).rejects.toThrow('authenticator corp unavailable');
    expect(link.guard.circuitState).toBe('closed');
  });

  test('log when the circuit opens', async () => {
    const { ask, link, logged } = linkPlugin(() => {
      throw new Error('down');
    });
    for (let call = 0; call < 6; call++)
      await expect(ask()).rejects.toThrow('authenticator corp unavailable');
    expect(link.guard.circuitState).toBe('open');
    expect(logged).toEqual([['warn', { authenticator: 'corp', circuit: 'open', openFor: '5s' }]]);
  });
});

test('a plugin without a check has none behind the layers either', () => {
  const link = linkOf({
    config,
    authenticator: { authenticate: async () => ({ kind: 'no-opinion' }), close: async () => {} },
    prefixes: { usernames: [], groups: [] },
    apiAudiences: () => [],
    logger: { info: () => {}, warn: () => {} },
    policyLog: () => {},
    clocks: { monotonic: () => 0, wall: () => 0 },
    blocks,
    onAbandoned: () => {},
  });
  expect(link.authenticator.check).toBeUndefined();
  expect(link.recognizes('any')).toBe(true);
});

test('an observer sees the steps of the plugin, names before and after the policy, and ids of the token; without one nothing is passed', async () => {
  const seen: unknown[] = [];
  const traces: unknown[] = [];
  const authenticator: AssembleOptions['authenticator'] = {
    async authenticate(_token, { trace }) {
      traces.push(trace);
      trace?.('searched');
      return {
        kind: 'authenticated',
        user: { username: 'jane', groups: ['dev', 'ops'] },
        credential: { jti: '7' },
      };
    },
    async close() {},
  };
  const allowed = { ...config, groups: { ...config.groups, allow: ['ops'] } };
  const { link } = linkPlugin(() => undefined, { config: allowed, authenticator });
  const { authenticate } = chain([link], () => 0);
  const { signal } = new AbortController();
  const observer = {
    onStep: (...step: unknown[]) => seen.push(step),
    onNames: (...names: unknown[]) => seen.push(names),
    onCredential: (...ids: unknown[]) => seen.push(ids),
  };
  await authenticate('corp-1', { audiences: [], signal, observer });
  expect(seen).toEqual([
    ['corp', 'searched'],
    ['corp', { jti: '7' }],
    [
      'corp',
      { username: 'jane', groups: ['dev', 'ops'] },
      { username: 'corp:jane', groups: ['corp:ops'] },
      undefined,
    ],
  ]);
  await authenticate('corp-1', { audiences: [], signal });
  expect(traces).toEqual([expect.any(Function), undefined]);
});
