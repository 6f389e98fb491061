import { parseObject } from '../text.ts';
import type { LoginServerAnswer } from './request.ts';

/** Why a server does not do what was asked of it. */
export interface ServerRefusal {
  /** The code of the server, such as `wrong-credentials`. An answer without a code has this one as well. */
  readonly refused: string;
  /** The server's own words. They may be empty. */
  readonly message: string;
  /** With `second-factor-required`: how this user can prove a second factor. Empty: only recovery codes are left. */
  readonly methods: readonly string[];
}

/** Says what was wrong if another attempt can be right. Undefined: none can. */
export function wrongText({ refused }: ServerRefusal): string | undefined {
  if (refused === 'wrong-credentials')
    return 'wrong name or password, or this user is not allowed to log in';
  if (refused === 'wrong-code')
    return 'wrong name, password or code, or this user is not allowed to log in';
  return undefined;
}

/** Reads the answer to a request that was refused. */
export function refusalOf({ text }: LoginServerAnswer): ServerRefusal {
  const { code, message, methods } = parseObject(text) ?? {};
  return {
    refused: typeof code === 'string' ? code : 'wrong-credentials',
    message: typeof message === 'string' ? message : '',
    methods: Array.isArray(methods) ? methods.filter((one) => typeof one === 'string') : [],
  };
}
