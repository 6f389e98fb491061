import { expect, test } from 'vitest';
import type { GatewayConfig } from '../config/types.ts';
import { lifetimes, minute } from '../engine/cache/testing/cached-replica.ts';
import { maxLifetimes } from './shared-state.ts';

const cache = { ...lifetimes, memory: { maxEntries: 100 } };

/** Makes the parts of a config that say how long answers may be used. */
function configOf(authenticators: readonly object[], login?: object) {
  return { cache, authenticators, login } as unknown as GatewayConfig;
}

test.each<{ name: string; config: GatewayConfig; authenticatedTtl: number; staleTtl: number }>([
  { name: 'of nothing', config: configOf([{ cache: 'off' }]), authenticatedTtl: 0, staleTtl: 0 },
  {
    name: 'to tokens',
    config: configOf([{ cache: { authenticatedTtl: 7, staleTtl: 9 } }]),
    authenticatedTtl: 7,
    staleTtl: 9,
  },
  {
    name: 'of a directory, while no answer to a token is cached',
    config: configOf([{ cache: 'off', directory: { refresh: 20 * minute } }, { cache: 'off' }]),
    authenticatedTtl: 20 * minute,
    staleTtl: lifetimes.staleTtl,
  },
  {
    name: 'about users of sessions, while no answer to a token is cached',
    config: configOf([{ cache: 'off' }], { revalidate: 3 * minute }),
    authenticatedTtl: 3 * minute,
    staleTtl: lifetimes.staleTtl,
  },
  {
    name: 'of a directory whose tokens are cached for longer',
    config: configOf([
      { cache: { authenticatedTtl: minute, staleTtl: 0 }, directory: { refresh: 5 } },
    ]),
    authenticatedTtl: minute,
    staleTtl: lifetimes.staleTtl,
  },
])(
  'memory keeps answers $name as long as they may be used',
  ({ config, authenticatedTtl, staleTtl }) => {
    expect(maxLifetimes(config)).toMatchObject({ authenticatedTtl, staleTtl });
  },
);
