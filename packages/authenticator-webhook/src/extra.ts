import { list, type ParseResult, parseText, section, text } from '@sallyport/plugin-kit';
import { z } from 'zod';

type Extra = Readonly<Record<string, readonly string[]>>;

/** The rules by which the keys of `extra` change. */
export type ExtraRules = z.output<typeof extraRules>;

function parseDrop(input: unknown): ParseResult<string> {
  const parsed = parseText(input, 'accessKeyId');
  if ('problem' in parsed || !parsed.value.slice(0, -1).includes('*')) return parsed;
  return { problem: 'may have * at its end only', fix: 'write authentication.kubernetes.io/*' };
}

const renaming = section(
  {
    from: text('The key of the peer, exactly.', 'accessKeyId'),
    to: text('The new key.', 'example.com/access-key'),
  },
  '{ from: accessKeyId, to: example.com/access-key }',
  ({ from, to }) => ({ from, to }),
);

export const extraRules = section(
  {
    drop: list(
      {
        description:
          'Keys to drop, as the peer spells them; a final * matches any end. Default: none; with mode api, authentication.kubernetes.io/*.',
        example: '[accessKeyId]',
      },
      { min: 0, max: 64 },
      parseDrop,
    ).optional(),
    rename: z
      .array(renaming, {
        error: 'must be a list: write [{ from: accessKeyId, to: example.com/access-key }]',
      })
      .max(64, 'must have at most 64 entries')
      .prefault([])
      .describe('Keys to rename. A renamed key is never dropped.'),
    lowercase: z
      .boolean({ error: 'must be true or false: write true or false, without quotes' })
      .default(true)
      .describe(
        'Makes keys lowercase: others are lost at impersonation, and the identity policy refuses them.',
      ),
  },
  '{ drop: [accessKeyId] }',
  (keys, complain) => {
    for (const [index, { from }] of keys.rename.entries()) {
      if (keys.rename.findIndex((entry) => entry.from === from) !== index) {
        complain(['rename', index, 'from'], `"${from}" is there twice`);
      }
    }
    return keys;
  },
)
  .prefault({})
  .describe('How the keys of `extra` in the answer change.');

/**
 * Renames keys, leaves out those that are dropped, and makes them lowercase.
 *
 * @returns undefined when two keys become one: joining them could make a value of the one pass for one of the other
 */
export function changeExtra(
  extra: Extra,
  { drop = [], rename, lowercase }: ExtraRules,
): Extra | undefined {
  const changed = new Map<string, readonly string[]>();
  for (const [key, values] of Object.entries(extra)) {
    const renamed = rename.find(({ from }) => from === key)?.to;
    if (renamed === undefined && drop.some((dropped) => isDropped(dropped, key))) continue;
    const name = lowercase ? (renamed ?? key).toLowerCase() : (renamed ?? key);
    if (changed.has(name)) return undefined;
    changed.set(name, values);
  }
  // fromEntries defines own properties, so a key named __proto__ stays a key.
  return Object.fromEntries(changed);
}

function isDropped(dropped: string, key: string): boolean {
  return dropped.endsWith('*') ? key.startsWith(dropped.slice(0, -1)) : key === dropped;
}
