import { createMemoryTier } from '../../engine/cache/memory-tier.ts';
import {
  createClocks,
  createRevocations,
  lifetimes,
  minute,
  type TestClocks,
} from '../../engine/cache/testing/cached-replica.ts';
import type { GuardedLink } from '../../engine/chain/guard.ts';
import type { Entry } from '../../engine/revocation/list.ts';
import { noBlocks } from '../../engine/revocation/testing/no-blocks.ts';
import { type AssembleOptions, assembleGuard, assembleLink } from '../assemble-link.ts';

/**
 * The config of one authenticator named `corp`, whose answers are cached in memory. Its backend takes one lookup at a time.
 */
export const corpConfig: AssembleOptions['config'] = {
  name: 'corp',
  timeout: 3_000,
  maxConcurrent: 1,
  maxWaiting: 0,
  circuit: { minimumCalls: 5, openFor: 10 * minute },
  onError: 'stop',
  username: { prefix: 'corp:' },
  groups: { prefix: 'corp:', max: 10 },
  allowSystemNames: [],
  allowCredentialId: false,
  cache: { ...lifetimes, store: 'memory' },
  fingerprint: 'one',
};

/** A block of any user. */
export const blockEntry: Entry = {
  id: 'a',
  action: 'block',
  kind: 'user',
  name: '',
  revision: 1,
  at: 0,
  until: 1,
  keptUntil: 1,
  by: 'root',
};

/** What else a link is assembled from, except for its authenticator: no one is blocked, and nothing is logged. */
export function linkParts(clocks: TestClocks = createClocks()): Omit<
  AssembleOptions,
  'authenticator' | 'cache' | 'clocks' | 'guard'
> & {
  readonly cache: NonNullable<AssembleOptions['cache']> & {
    readonly revocations: ReturnType<typeof createRevocations>;
  };
  readonly clocks: TestClocks;
} {
  return {
    config: corpConfig,
    prefixes: { usernames: ['corp:'], groups: ['corp:'] },
    apiAudiences: () => [],
    logger: { info: () => {}, warn: () => {} },
    policyLog: () => {},
    clocks,
    cache: {
      memory: createMemoryTier(100),
      revocations: createRevocations(),
      metrics: { lookup: () => {}, coalesced: () => {} },
    },
    blocks: noBlocks,
    onAbandoned: () => {},
  };
}

/** Assembles a link with a guard of its own. */
export function linkOf(options: Omit<AssembleOptions, 'guard'>): GuardedLink {
  return assembleLink({ ...options, guard: assembleGuard(options) });
}
