import type { Blocks, LoginBlocks, LoginRevocations } from '../list.ts';

const none = () => undefined;

/** A revocation list that was read, and is empty. */
export const noBlocks: Blocks & LoginBlocks = {
  isUnknown: false,
  findByToken: none,
  findByTokenDigest: none,
  findByUser: none,
  findByCredential: none,
};

/** The same list, as a login uses it. */
export const noRevocations: LoginRevocations = {
  revision: 0,
  isRevoked: () => false,
  refresh: async () => undefined,
};
