import { describe, expect, test } from 'vitest';
import type { AuthenticatorConfig } from '../../config/types.ts';
import { UsageError } from '../usage-error.ts';
import { chooseIssuer } from './choose-issuer.ts';

/** Those whose names begin with `t` issue tokens. */
function config(...names: string[]) {
  const authenticators = names.map((name) => ({
    name,
    package: `package-of-${name}`,
    plugin: name.startsWith('t') ? { createTokenIssuer: async () => undefined } : {},
  })) as unknown as AuthenticatorConfig[];
  return { file: '/etc/gateway.yaml', authenticators };
}

function failure(names: string[], named?: string): unknown {
  try {
    return chooseIssuer(config(...names), named).authenticator.name;
  } catch (error) {
    return error;
  }
}

describe('without a name', () => {
  test('the only one that issues tokens', () => {
    const { authenticator, isOneOfSeveral } = chooseIssuer(config('corp', 'tokens'), undefined);
    expect([authenticator.name, isOneOfSeveral]).toEqual(['tokens', false]);
  });

  test('none issues tokens', () => {
    expect(failure(['corp', 'demo'])).toEqual(
      new Error(
        'no authenticator of /etc/gateway.yaml issues tokens; it has corp (package-of-corp), demo (package-of-demo)',
      ),
    );
  });

  test('several do', () => {
    expect(failure(['ta', 'corp', 'tb'])).toEqual(
      new UsageError('several authenticators issue tokens: write --authenticator ta or tb'),
    );
  });
});

describe('by name', () => {
  test('one of several', () => {
    const { authenticator, isOneOfSeveral } = chooseIssuer(config('ta', 'tb'), 'tb');
    expect([authenticator.name, isOneOfSeveral]).toEqual(['tb', true]);
  });

  test('the only one need not be named', () => {
    expect(chooseIssuer(config('ta', 'corp'), 'ta').isOneOfSeveral).toBe(false);
  });

  test('unknown, with the one that was meant', () => {
    expect(failure(['corp', 'tokens'], 'tokns')).toEqual(
      new UsageError(
        '--authenticator: "tokns" is not in /etc/gateway.yaml, which has corp, tokens. Did you mean tokens?',
      ),
    );
    expect(failure(['tokens'], '')).toEqual(
      new UsageError('--authenticator: "" is not in /etc/gateway.yaml, which has tokens.'),
    );
  });

  test('one that issues no tokens', () => {
    expect(failure(['corp', 'ta', 'tb'], 'corp')).toEqual(
      new Error('authenticator corp (package-of-corp) issues no tokens; those that do: ta, tb'),
    );
    expect(failure(['corp'], 'corp')).toEqual(
      new Error('authenticator corp (package-of-corp) issues no tokens; none in the config does'),
    );
  });
});
