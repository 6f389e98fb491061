import type { Wording } from '@sallyport/redis-connection';

/** What messages say of what Redis is used for here. */
export const wording: Wording = {
  leastAcl: 'the least one in the README',
  wrongType: 'than layout says',
  consequence: 'tokens can not be checked',
};
