import { describe, expect, test } from 'vitest';
import type { GatewayConfig } from '../../config/types.ts';
import { audiencesFor, clusterNote, whyUnrecognized } from './token-clues.ts';

describe('why a token is not recognized', () => {
  const shape = 'not the shape of its tokens';

  test('is what the plugin says, up to a length', () => {
    expect(whyUnrecognized({ whyUnrecognized: () => 'has a wrong checksum' }, 't')).toBe(
      'the token has a wrong checksum',
    );
    expect(whyUnrecognized({ whyUnrecognized: () => 'x'.repeat(9_000) }, 't')).toHaveLength(510);
  });

  test('is the prefix, where the plugin says nothing', () => {
    const prefixed = whyUnrecognized(
      { tokenPrefix: 'sp_', whyUnrecognized: () => undefined },
      'sp_1',
    );
    expect(prefixed).toBe(
      'the token begins with sp_ as its tokens do, but does not have their shape: is it whole?',
    );
    expect(whyUnrecognized({ tokenPrefix: 'sp_' }, 'other')).toBe(shape);
    expect(whyUnrecognized({ tokenPrefix: '' }, 'other')).toBe(shape);
    expect(whyUnrecognized({}, 'other')).toBe(shape);
  });

  test('is the word Bearer of a header, or a quote, whatever the plugin says', () => {
    const bearer =
      'the token begins with Bearer or Authorization, a word of the header: leave it out';
    expect(whyUnrecognized({ whyUnrecognized: () => 'is too long' }, 'Bearer eyJ')).toBe(bearer);
    expect(whyUnrecognized({}, 'bearer eyJ')).toBe(bearer);
    expect(whyUnrecognized({}, 'Authorization: Bearer eyJ')).toBe(bearer);
    expect(whyUnrecognized({}, 'Bearers')).toBe(shape);
    for (const quote of ['"', "'"])
      expect(whyUnrecognized({}, `${quote}t${quote}`)).toMatch(/^the token begins with a quote/);
    for (const wrapped of ['{"access_token": "t"}', 'id_token=eyJ'])
      expect(whyUnrecognized({}, wrapped)).toMatch(/ object or a form: pipe its value alone$/);
  });

  test('is base64, as a Secret has it, whatever the plugin says', () => {
    const encode = (text: string) => Buffer.from(text).toString('base64');
    const base64 =
      'the token is base64 of a token, as in a Secret: decode it first, with base64 -d';
    const plugin = { tokenPrefix: 'sp_', whyUnrecognized: () => 'is too long' };
    expect(whyUnrecognized(plugin, encode('sp_abc'))).toBe(base64);
    expect(whyUnrecognized({}, encode('eyJhbGciOiJub25lIn0.e30.'))).toBe(base64);
    expect(whyUnrecognized({}, encode('sp_abc'))).toBe(shape);
    expect(whyUnrecognized({}, 'eyJhbGciOiJub25lIn0.e30.')).toBe(shape);
  });

  test('is not known where the plugin throws or returns no text', () => {
    const broken = [
      () => {
        throw new Error('the token is in here');
      },
      () => 7 as unknown as string,
      () => '',
    ];
    for (const one of broken) expect(whyUnrecognized({ whyUnrecognized: one }, 't')).toBe(shape);
  });
});

describe('the audiences that are asked for', () => {
  const clusters = { prod: { audience: 'p' }, staging: { audience: 's' } };
  const config = (changed: object = {}) =>
    ({
      server: { apiAudiences: ['api'] },
      login: { sessions: 'sessions', clusters, ...changed },
    }) as unknown as Pick<GatewayConfig, 'login' | 'server'>;
  const created = ['corp', 'sessions'].map((name) => ({
    config: { name },
    authenticator: {
      recognizes: (token: string) => token.startsWith(name),
      authenticate: () => ({ kind: 'no-opinion' as const }),
      close: async () => undefined,
    },
  }));

  test('are those of all clusters for a session, and the own ones of the API server for all else', () => {
    expect(audiencesFor('sessions-1', config(), created)).toEqual(['p', 's', 'api']);
    expect(audiencesFor('corp-1', config(), created)).toEqual([]);
    expect(audiencesFor('sessions-1', config({ clusters: {} }), created)).toEqual([]);
    expect(audiencesFor('sessions-1', { ...config(), login: undefined } as never, created)).toEqual(
      [],
    );
  });

  test('are noted with the cluster that the session is for', () => {
    const accepted = (...audiences: readonly string[]) =>
      clusterNote({ kind: 'authenticated', user: { username: 'jane' }, audiences }, config());
    expect(accepted('s')).toBe(
      'it is a session for the cluster staging: asked for its audience, s, since --audience was left out. An API server that does not ask for it refuses this token, and the log has that as audience-mismatch',
    );
    expect(accepted('api')).toBeUndefined();
    expect(clusterNote({ kind: 'rejected', reason: 'revoked' }, config())).toBeUndefined();
  });
});
