import type { Authenticator, Caching, TokenAudiences } from '@sallyport/authenticator';
import { describe, expect, test } from 'vitest';
import type { CreatedAuthenticator } from '../../runtime/authenticators.ts';
import { wholeDetail } from '../finding.ts';
import { type CheckedParts, checkTokens } from './check-tokens.ts';

interface Setup {
  readonly authenticator?: Partial<Authenticator>;
  readonly caching?: Caching;
  readonly apiAudiences?: readonly string[];
  readonly clusters?: Readonly<Record<string, object>>;
  /** The client of a provider whose ID tokens the authenticator checks. */
  readonly clientId?: string;
  readonly count?: number;
}

function warnings({
  authenticator,
  caching = 'memory',
  apiAudiences = [],
  clusters,
  clientId,
  count = 2,
}: Setup) {
  const withhold = (words: string) => words.replace('secret', 'withheld');
  const config = { name: 'oidc', plugin: { caching }, withhold };
  const providers = { okta: { authenticator: 'oidc', clientId }, other: { authenticator: 'x' } };
  const created = { config, authenticator: { recognizes: () => true, ...authenticator } };
  const checked = {
    server: { apiAudiences },
    ...(clusters && { login: { clusters, ...(clientId && { providers }) } }),
    authenticators: Array.from({ length: count }, () => ({})),
  };
  const findings = checkTokens(
    created as unknown as CreatedAuthenticator,
    checked as unknown as CheckedParts,
  );
  return findings.map((one) => `${one.result}: ${wholeDetail(one)}`);
}

describe('tokens of audiences that no API server asks for', () => {
  const issuing = (...sources: readonly TokenAudiences[]) => ({ tokenAudiences: () => sources });
  const authenticator = issuing(
    { source: 'issuer a', audiences: ['a', 'b'] },
    { source: 'issuer c', audiences: ['c'] },
  );

  test('are named by their source, with the audiences that are asked for', () => {
    expect(warnings({ authenticator, apiAudiences: ['b', 'x'] })).toEqual([
      'warning: the tokens of issuer c are valid only for the audiences c: the API server refuses each of ' +
        'them, since it asks for b, x: add b to their audiences, or c to server.apiAudiences and to --api-audiences of kube-apiserver',
    ]);
    expect(warnings({ authenticator, apiAudiences: ['b', 'c'] })).toEqual([]);
  });

  test('are valid if a cluster of login has one of them', () => {
    expect(
      warnings({ authenticator, apiAudiences: ['b'], clusters: { prod: { audience: 'c' } } }),
    ).toEqual([]);
    const unknown = [expect.stringMatching(/issuer a .*since server\.apiAudiences is empty: /)];
    expect(warnings({ authenticator, clusters: { prod: { audience: 'c' } } })).toEqual(unknown);
  });

  test('are not needed there if people log in with them', () => {
    const clusters = { prod: { audience: 'x' } };
    const [first, ...others] = warnings({ authenticator, clusters, clientId: 'c' });
    expect([first, others]).toEqual([expect.stringContaining('issuer a'), []]);
  });

  test('are not known without apiAudiences, and check says what to write', () => {
    expect(warnings({ authenticator })).toEqual([
      expect.stringMatching(
        /issuer a .* a, b: .* server\.apiAudiences is empty: write the --api-audiences of kube-apiserver/,
      ),
      expect.stringContaining('issuer c'),
    ]);
  });

  test('are not checked where there are none', () => {
    expect(warnings({ apiAudiences: ['x'] })).toEqual([]);
  });

  test('are printed safely, and a plugin that throws is an error', () => {
    expect(
      warnings({
        authenticator: issuing({ source: 'a\u001b secret', audiences: [] }),
        apiAudiences: ['x'],
      }),
    ).toEqual([
      expect.stringContaining(
        String.raw`the tokens of a\u{1b} withheld are valid only for the audiences none`,
      ),
    ]);
    const tokenAudiences = () => {
      throw new Error('no secret here');
    };
    expect(warnings({ authenticator: { tokenAudiences } })).toEqual([
      'error: tokenAudiences() failed: no withheld here',
    ]);
  });
});

describe('a plugin that does not say which tokens are its own', () => {
  const authenticator = { recognizes: undefined } as unknown as Partial<Authenticator>;

  test('is warned of: its backend gets passwords of others', () => {
    expect(warnings({ authenticator })).toEqual([
      expect.stringMatching(
        /^warning: the plugin has no recognizes\(\), so its backend gets each token/,
      ),
    ]);
  });

  test.each([
    { name: 'has no others next to it', setup: { count: 1 } },
    { name: 'has no backend', setup: { caching: 'none' as const } },
  ])('is not warned of when it $name', ({ setup }) => {
    expect(warnings({ authenticator, ...setup })).toEqual([]);
  });
});
