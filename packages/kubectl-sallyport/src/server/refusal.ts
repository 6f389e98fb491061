import { parseObject } from '../text.ts';
import type { LoginServerAnswer } from './request.ts';

/** The reason why a server refuses a request. */
export interface ServerRefusal {
  /** The code of the server. An answer without a code counts as `wrong-credentials`. */
  readonly refused: string;
  /** The server's own words. They may be empty. */
  readonly message: string;
  /** With `second-factor-required`: how this user can prove a second factor. Empty: only recovery codes are left. */
  readonly methods: readonly string[];
}

/** Says what was wrong. @returns undefined when no other attempt can be right */
export function wrongText({ refused }: ServerRefusal): string | undefined {
  if (refused === 'wrong-credentials')
    return 'wrong name or password, or this user is not allowed to log in';
  if (refused === 'wrong-code')
    return 'wrong name, password or code, or this user is not allowed to log in';
  return undefined;
}

/** Reads the answer to a request that was refused. */
export function readRefusal({ text }: LoginServerAnswer): ServerRefusal {
  const { code, message, methods } = parseObject(text) ?? {};
  return {
    refused: typeof code === 'string' ? code : 'wrong-credentials',
    message: typeof message === 'string' ? message : '',
    methods: Array.isArray(methods) ? methods.filter((method) => typeof method === 'string') : [],
  };
}
