import { setImmediate as nextTurn } from 'node:timers/promises';
import { YAMLException } from 'js-yaml';
import { z } from 'zod';
import {
  blind,
  decode,
  digestToken,
  type FileProblem,
  type FileToken,
  freezeRecord,
  maxProblems,
  sliceLength,
  TokenFileError,
  type TokenSet,
} from './token-file.ts';
import {
  findKey,
  nodeAt,
  parseYamlDocument,
  type Slice,
  syntaxProblem,
  type YamlNode,
} from './yaml-document.ts';

/**
 * Reads a YAML file that lists digests of tokens under `tokens`.
 *
 * @throws TokenFileError
 */
export async function readTokensFile(file: string, content: Buffer): Promise<TokenSet> {
  const text = decode(file, content)
    .replace(/^\uFEFF/, '')
    .replaceAll('\r\n', '\n');
  const slices = sliceTokens(text);
  try {
    if (slices !== undefined) return await readSlices(file, slices);
  } catch (error) {
    // A slice has an alias to another slice, or a syntax error. Reading the whole file finds out which, and where.
    if (!(error instanceof YAMLException)) throw error;
  }
  try {
    return await readSlices(file, [{ text, line: 1 }]);
  } catch (error) {
    throw error instanceof YAMLException ? new TokenFileError(file, [syntaxProblem(error)]) : error;
  }
}

/** Reads all slices of a file. @throws YAMLException */
async function readSlices(file: string, slices: Iterable<Slice>): Promise<TokenSet> {
  const tokens = new Map<string, FileToken>();
  const problems: FileProblem[] = [];
  for (const slice of slices) {
    if (problems.length < maxProblems) readSlice(slice, tokens, problems);
    await nextTurn();
  }
  if (problems.length > 0) throw new TokenFileError(file, problems);
  return tokens;
}

function readSlice(slice: Slice, tokens: Map<string, FileToken>, problems: FileProblem[]): void {
  const { value, root } = parseYamlDocument(slice);
  const shape = fileSchema.safeParse(value);
  if (!shape.success) {
    for (const issue of shape.error.issues)
      problems.push(...issueProblems(issue, root, () => unknownTopLevelKey));
    return;
  }
  const list = nodeAt(root, ['tokens']);
  for (const [index, item] of shape.data.tokens.entries()) {
    if (problems.length >= maxProblems) return;
    addEntry(item, list.children[index] ?? list, tokens, problems);
  }
}

const unknownTopLevelKey = 'unknown key: the file has one key, tokens, with the list of entries';

const fileSchema = z.strictObject(
  {
    tokens: z.array(z.unknown(), {
      error: 'must be a list of entries; for no entries write tokens: []',
    }),
  },
  {
    error:
      'must have the key tokens with a list of entries; for no entries write tokens: []. The option for a CSV file is tokenAuthFile',
  },
);

function addEntry(
  item: unknown,
  node: YamlNode,
  tokens: Map<string, FileToken>,
  problems: FileProblem[],
): void {
  const { data, error } = tokenEntrySchema.safeParse(item);
  if (error !== undefined) {
    for (const issue of error.issues)
      problems.push(...issueProblems(issue, node, unknownKeyMessage));
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

function issueProblems(
  issue: z.core.$ZodIssue,
  node: YamlNode,
  unknownKey: (key: string) => string,
): FileProblem[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((name) => ({
      ...(findKey(node, name)?.key ?? node).place,
      message: unknownKey(name),
    }));
  }
  // The message names only the entry's own key: deeper keys are free text.
  const [key] = issue.path;
  const subject =
    key === undefined ? '' : `${issue.path.length > 1 ? 'a value in ' : ''}${String(key)} `;
  return [{ ...nodeAt(node, issue.path).place, message: subject + issue.message }];
}

function toRecord(data: z.output<typeof tokenEntrySchema>, line: number): FileToken {
  const { username, uid, groups, extra, audiences, notBefore, expiresAt } = data;
  const user = {
    username,
    ...(uid && { uid }),
    ...(groups && { groups }),
    ...(extra && { extra }),
  };
  return freezeRecord({ user, audiences, notBefore, expiresAt, line });
}

const makesEntry = 'the command `token hash` makes an entry';

const textSchema = z
  .string({
    error: ({ input }) =>
      input === undefined ? 'is missing' : 'must be a string: put it in quotes',
  })
  .min(1, 'must not be empty');

const emptyDigest = digestToken('');

const sha256 = z
  .string({
    error: ({ input }) =>
      input === undefined ? `is missing: ${makesEntry}` : 'must be a string: put it in quotes',
  })
  .regex(/^[0-9a-f]{64}$/i, `must be a SHA-256 digest, 64 hexadecimal digits: ${makesEntry}`)
  .transform((digest) => digest.toLowerCase())
  .refine(
    (digest) => digest !== emptyDigest,
    `is the digest of an empty string, not of a token: ${makesEntry}`,
  );

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
  z.array(textSchema, { error: 'must be a list: write example.com/team: [storage]' }),
  'must be a mapping of lowercase keys to lists',
);

const hasLowercaseKeys = (value: Record<string, unknown>): boolean =>
  Object.keys(value).every((key) => key !== '' && key === key.toLowerCase());

const entry = z.strictObject(
  {
    sha256,
    username: textSchema,
    uid: textSchema.optional(),
    groups: z.array(textSchema, { error: 'must be a list: write [developers]' }).optional(),
    extra: extra
      .refine(hasLowercaseKeys, 'must have lowercase keys, as Kubernetes requires')
      .optional(),
    audiences: z
      .array(textSchema, { error: 'must be a list: write [https://kubernetes.default.svc]' })
      .optional(),
    notBefore: time.optional(),
    expiresAt: time.optional(),
    description: textSchema.optional(),
  },
  { error: 'must be a mapping with sha256 and username' },
);

/** An entry of a tokens file. Its messages name the problem and the fix, and quote no value. */
const tokenEntrySchema = entry.refine(
  ({ notBefore, expiresAt }) =>
    notBefore === undefined || expiresAt === undefined || notBefore < expiresAt,
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

/**
 * `tokens:` after nothing but comments, up to its first item, whose indentation it captures. The number of comments is
 * limited, since a pattern over millions of lines overflows the stack.
 */
const beginning = /^(?: *(?:#.*)?\n){0,1000}tokens: *(?:#.*)?\n(?: *(?:#.*)?\n){0,1000}(?=( *)- )/;

/**
 * Cuts a large tokens file between entries into slices that are valid files, so that reading 100,000 entries does not
 * block the event loop for a second. It returns undefined when the file is small, or is not written in the plain form that
 * can be cut safely: `tokens:` alone on its line, then lines that begin an item, belong to one by deeper indentation, or
 * have only a comment.
 *
 * In such a file a line with the items' indentation and a dash always begins an item, since YAML requires deeper
 * indentation for all lines of a text or flow collection within an item. Slices depend on each other only by anchors: an
 * alias to an anchor of another slice fails to parse, and the caller then reads the whole file.
 *
 * @param length the minimum length of a slice, in characters
 */
export function sliceTokens(
  text: string,
  length: number = sliceLength,
): Iterable<Slice> | undefined {
  // A lone CR is a line end in YAML, but not in these patterns.
  if (text.length < 2 * length || text.includes('\r')) return undefined;
  const [head, indentation] = beginning.exec(text) ?? [];
  if (head === undefined || indentation === undefined) return undefined;
  const width = indentation.length;
  const strayLine = new RegExp(`\\n(?! {${width}}-[ \\n]) {0,${width}}[^ #\\n]`);
  if (strayLine.test(text.slice(head.length))) return undefined;

  return cut(text, head.length, `\n${indentation}- `, length);
}

function* cut(text: string, begin: number, beforeItem: string, length: number): Generator<Slice> {
  let line = lineEnds(text.slice(0, begin)) + 1;
  for (let start = begin; start < text.length; ) {
    const lineEnd = text.indexOf(beforeItem, start + length);
    const end = lineEnd === -1 ? text.length : lineEnd + 1;
    const items = text.slice(start, end);
    // The line before the items is not in the file.
    yield { text: `tokens:\n${items}`, line: line - 1 };
    line += lineEnds(items);
    start = end;
  }
}

function lineEnds(text: string): number {
  return text.split('\n').length - 1;
}
