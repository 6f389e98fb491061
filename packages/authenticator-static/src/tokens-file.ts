import { setImmediate as nextTurn } from 'node:timers/promises';
import { z } from 'zod';
import {
  blind,
  decode,
  digestToken,
  freezeRecord,
  mostProblems,
  type Problem,
  TokenFileError,
  type TokenRecord,
  type TokenSet,
} from './token-file.ts';
import { keyOf, nodeAt, parseYaml, type YamlNode } from './yaml-document.ts';

/** So many entries are checked in one turn of the event loop, so that reviews go on during a reload. */
const entriesOfTurn = 500;

/**
 * Reads a YAML file that lists digests of tokens under `tokens`.
 *
 * @throws TokenFileError
 */
export async function readTokensFile(file: string, content: Buffer): Promise<TokenSet> {
  const text = decode(file, content)
    .replace(/^\uFEFF/, '')
    .replaceAll('\r\n', '\n');
  const { value, root } = parseYaml(file, text);
  const shape = fileSchema.safeParse(value);
  if (!shape.success) {
    const problems = shape.error.issues.flatMap((issue) => issueProblems(issue, root, () => unknownTopLevelKey));
    throw new TokenFileError(file, problems);
  }
  const tokens = new Map<string, TokenRecord>();
  const problems: Problem[] = [];
  const list = nodeAt(root, ['tokens']);
  for (const [index, item] of shape.data.tokens.entries()) {
    if (problems.length >= mostProblems) break;
    addEntry(item, list.children[index] ?? list, tokens, problems);
    if (index % entriesOfTurn === 0) await nextTurn();
  }
  if (problems.length > 0) throw new TokenFileError(file, problems);
  return tokens;
}

const unknownTopLevelKey = 'unknown key: the file has one key, tokens, with the list of entries';

const fileSchema = z.strictObject(
  { tokens: z.array(z.unknown(), { error: 'must be a list of entries; for no entries write tokens: []' }) },
  { error: 'must have the key tokens with a list of entries; for no entries write tokens: []' },
);

function addEntry(item: unknown, node: YamlNode, tokens: Map<string, TokenRecord>, problems: Problem[]): void {
  const { data, error } = tokenEntrySchema.safeParse(item);
  if (error !== undefined) {
    for (const issue of error.issues) problems.push(...issueProblems(issue, node, unknownKeyMessage));
    return;
  }
  const key = blind(data.sha256);
  const earlier = tokens.get(key);
  if (earlier === undefined) {
    tokens.set(key, toRecord(data, node.place.line));
    return;
  }
  const message = `the same token as in line ${earlier.line} (sha256 ${data.sha256.slice(0, 8)}...): remove one of them`;
  problems.push({ ...nodeAt(node, ['sha256']).place, message });
}

function issueProblems(issue: z.core.$ZodIssue, node: YamlNode, unknownKey: (key: string) => string): Problem[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ ...(keyOf(node, key)?.key ?? node).place, message: unknownKey(key) }));
  }
  // The message names only the entry's own key: deeper keys are free text.
  const [key] = issue.path;
  const subject = key === undefined ? '' : `${issue.path.length > 1 ? 'a value in ' : ''}${String(key)} `;
  return [{ ...nodeAt(node, issue.path).place, message: subject + issue.message }];
}

function toRecord(data: z.output<typeof tokenEntrySchema>, line: number): TokenRecord {
  const { username, uid, groups, extra, audiences, notBefore, expiresAt } = data;
  return freezeRecord({
    user: { username, ...(uid && { uid }), ...(groups && { groups }), ...(extra && { extra }) },
    ...(audiences && { audiences }),
    ...(notBefore !== undefined && { notBefore }),
    ...(expiresAt !== undefined && { expiresAt }),
    line,
  });
}

const makesEntry = 'the command `token hash` makes an entry';

const text = z
  .string({ error: ({ input }) => (input === undefined ? 'is missing' : 'must be text: put it in quotes') })
  .min(1, 'must not be empty');

const emptyDigest = digestToken('');

const sha256 = z
  .string({
    error: ({ input }) => (input === undefined ? `is missing: ${makesEntry}` : 'must be text: put it in quotes'),
  })
  .regex(/^[0-9a-f]{64}$/i, `must be a SHA-256 digest, 64 hexadecimal digits: ${makesEntry}`)
  .transform((digest) => digest.toLowerCase())
  .refine((digest) => digest !== emptyDigest, `is the digest of an empty text, not of a token: ${makesEntry}`);

const time = z.iso
  .datetime({
    offset: true,
    error:
      'must be a date and time with its zone (RFC 3339), such as 2031-05-01T00:00:00Z or 2031-05-01T02:00:00+02:00',
  })
  .transform((value) => Date.parse(value));

/** Kubernetes requires lowercase keys: others do not survive impersonation and aggregation. */
const extra = z.record(
  z.string(),
  z.array(text, { error: 'must be a list: write example.com/team: [storage]' }),
  'must be a mapping of lowercase keys to lists',
);

const hasLowercaseKeys = (value: Record<string, unknown>): boolean =>
  Object.keys(value).every((key) => key !== '' && key === key.toLowerCase());

const entry = z.strictObject(
  {
    sha256,
    username: text,
    uid: text.optional(),
    groups: z.array(text, { error: 'must be a list: write [developers]' }).optional(),
    extra: extra.refine(hasLowercaseKeys, 'must have lowercase keys, as Kubernetes requires').optional(),
    audiences: z.array(text, { error: 'must be a list: write [https://kubernetes.default.svc]' }).optional(),
    notBefore: time.optional(),
    expiresAt: time.optional(),
    description: text.optional(),
  },
  { error: 'must be a mapping with sha256 and username' },
);

/** An entry of a tokens file. Its messages name the problem and the fix, and quote no value. */
const tokenEntrySchema = entry.refine(
  ({ notBefore, expiresAt }) => notBefore === undefined || expiresAt === undefined || notBefore < expiresAt,
  {
    path: ['notBefore'],
    error: 'must be before expiresAt: otherwise the token is never valid',
  },
);

/** The message for an unknown key. It does not quote the key, which may be a token in the wrong place. */
function unknownKeyMessage(key: string): string {
  return /token|secret|password|bearer/i.test(key)
    ? `this file must not contain tokens, only their digests under sha256: ${makesEntry}`
    : `unknown key: an entry has ${knownKeys.slice(0, -1).join(', ')} and ${knownKeys.at(-1)}`;
}

const knownKeys = Object.keys(entry.shape);
