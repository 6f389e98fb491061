import { expect, test } from 'vitest';
import type { GatewayConfig } from '../config/types.ts';
import { lifetimes, minute } from '../engine/cache/testing/cached-replica.ts';
import { maxLifetimes } from './shared-state.ts';

const cache = { ...lifetimes, memory: { maxEntries: 100 } };

/** Makes the parts of a config that say how long answers may be used. */
function configOf(authenticators: readonly object[], login?: object) {
  return { cache, authenticators, login } as unknown as GatewayConfig;
}

test.each<[string, GatewayConfig, number, number]>([
  ['of nothing', configOf([{ cache: 'off' }]), 0, 0],
  ['to tokens', configOf([{ cache: { authenticatedTtl: 7, staleTtl: 9 } }]), 7, 9],
  [
    'of a directory, while no answer to a token is cached',
    configOf([{ cache: 'off', directory: { refresh: 20 * minute } }, { cache: 'off' }]),
    20 * minute,
    lifetimes.staleTtl,
  ],
  [
    'about users of sessions, while no answer to a token is cached',
    configOf([{ cache: 'off' }], { revalidate: 3 * minute }),
    3 * minute,
    lifetimes.staleTtl,
  ],
  [
    'of a directory whose tokens are cached for longer',
    configOf([{ cache: { authenticatedTtl: minute, staleTtl: 0 }, directory: { refresh: 5 } }]),
    minute,
    lifetimes.staleTtl,
  ],
])(
  'memory keeps answers %s as long as they may be used',
  (_, config, authenticatedTtl, staleTtl) => {
    expect(maxLifetimes(config)).toMatchObject({ authenticatedTtl, staleTtl });
  },
);
