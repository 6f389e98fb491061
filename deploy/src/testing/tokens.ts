import { createHash } from 'node:crypto';

/** What tokens.yaml has in place of a token: hexadecimal. */
export const sha256Of = (token: string): string => createHash('sha256').update(token).digest('hex');
