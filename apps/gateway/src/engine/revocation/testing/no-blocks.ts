import type { Blocks } from '../list.ts';

const none = () => undefined;

/** A revocation list that was read, and is empty. */
export const noBlocks: Blocks = {
  isUnknown: false,
  ofToken: none,
  ofUser: none,
  ofCredential: none,
};
