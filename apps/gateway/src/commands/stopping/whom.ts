import { printable } from '../../logging/printable.ts';
import { digestOf } from '../../revocation/list.ts';
import type { Entry } from '../../revocation/types.ts';
import { readToken } from '../input.ts';
import { readDigits } from '../token/digest-option.ts';
import { refuseEmpty } from '../token/empty-options.ts';
import { shortDigest } from '../token/issued-token.ts';
import { UsageError } from '../usage-error.ts';

export interface WhomOptions {
  readonly user?: string;
  readonly group?: string;
  readonly token?: boolean;
  readonly digest?: string;
  readonly all?: boolean;
}

/** Whom a command is about; the token itself is not read yet. */
export type Whom =
  | { readonly kind: 'user' | 'group'; readonly name: string }
  | { readonly kind: 'token' }
  | { readonly kind: 'digest'; readonly digits: string }
  | { readonly kind: 'all' };

/** An entry's, and the token where one was read. Of `--digest` the name is the digits that were given. */
export interface Subject extends Pick<Entry, 'kind' | 'name'> {
  readonly token?: string;
}

/** Fewer digits may be those of another token by chance. */
const leastDigits = 8;

const ways = {
  user: '--user NAME',
  group: '--group NAME',
  token: '--token (which is read from standard input)',
  digest: '--digest DIGITS',
  all: '--all',
} as const;

/**
 * @param verb for the message: `block`
 * @param kinds those that the command takes
 * @throws UsageError unless exactly one of these is given
 */
export function readWhom(options: WhomOptions, verb: string, kinds: readonly Whom['kind'][]): Whom {
  const { user, group, token, digest, all } = options;
  refuseEmpty({ '--user': user, '--group': group });
  const given: Whom[] = [
    ...(user === undefined ? [] : [{ kind: 'user', name: user } as const]),
    ...(group === undefined ? [] : [{ kind: 'group', name: group } as const]),
    ...(token ? [{ kind: 'token' } as const] : []),
    ...(digest === undefined ? [] : [{ kind: 'digest', digits: readDigits(digest, leastDigits) } as const]),
    ...(all ? [{ kind: 'all' } as const] : []),
  ];
  const [whom, ...others] = given;
  if (whom === undefined || others.length > 0) {
    throw new UsageError(`say whom to ${verb} by one of these: ${kinds.map((kind) => ways[kind]).join(', ')}`);
  }
  return whom;
}

/** Reads the token, where one is wanted, before anything is opened that would have to wait for it. @throws UsageError */
export async function readSubject(whom: Whom): Promise<Subject> {
  if (whom.kind === 'all') return { kind: 'all', name: '' };
  if (whom.kind === 'digest') return { kind: 'token', name: whom.digits };
  if (whom.kind !== 'token') return whom;
  const token = await readToken();
  return { kind: 'token', name: digestOf(token), token };
}

/** `user corp:jane`, `token abcdef001122`. */
export function nameSubject({ kind, name }: Pick<Entry, 'kind' | 'name'>): string {
  if (kind === 'all') return 'everybody';
  return `${kind} ${kind === 'token' ? shortDigest(name) : printable(name)}`;
}
