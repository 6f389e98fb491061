import { createHash } from 'node:crypto';

/** The hexadecimal digest that tokens.yaml has in place of a token. */
export const sha256Of = (token: string): string => createHash('sha256').update(token).digest('hex');
