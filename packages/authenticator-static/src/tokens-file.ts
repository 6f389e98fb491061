import { setImmediate as nextTurn } from 'node:timers/promises';
import { YAMLException } from 'js-yaml';
import { z } from 'zod';
import { type Fault, mostFaults, TokenFileError } from './faults.ts';
import { decode, type Slice } from './text.ts';
import { type TokenEntry, tokenEntrySchema, unknownKeyMessage } from './token-entry.ts';
import { blind, freezeRecord, type TokenRecord, type TokenSet } from './token-set.ts';
import { sliceTokens } from './tokens-file-slices.ts';
import { keyOf, nodeAt, parseYaml, syntaxFault, type YamlNode } from './yaml-document.ts';

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
    // An alias that goes from one slice to another, or a fault: the whole tells which, and where.
    if (!(error instanceof YAMLException)) throw error;
  }
  try {
    return await readSlices(file, [{ text, line: 1 }]);
  } catch (error) {
    throw error instanceof YAMLException ? new TokenFileError(file, [syntaxFault(error)]) : error;
  }
}

/** @throws YAMLException */
async function readSlices(file: string, slices: Iterable<Slice>): Promise<TokenSet> {
  const tokens = new Map<string, TokenRecord>();
  const faults: Fault[] = [];
  for (const slice of slices) {
    if (faults.length < mostFaults) readSlice(slice, tokens, faults);
    await nextTurn();
  }
  if (faults.length > 0) throw new TokenFileError(file, faults);
  return tokens;
}

function readSlice(slice: Slice, tokens: Map<string, TokenRecord>, faults: Fault[]): void {
  const { value, root } = parseYaml(slice);
  const shape = fileSchema.safeParse(value);
  if (!shape.success) {
    for (const issue of shape.error.issues) faults.push(...issueFaults(issue, root, () => unknownTopLevelKey));
    return;
  }
  const list = nodeAt(root, ['tokens']);
  for (const [index, item] of shape.data.tokens.entries()) {
    if (faults.length >= mostFaults) return;
    addEntry(item, list.children[index] ?? list, tokens, faults);
  }
}

const unknownTopLevelKey = 'unknown key: the file holds one key, tokens, and under it the list of entries';

const fileSchema = z.strictObject(
  { tokens: z.array(z.unknown(), { error: 'must be a list of entries; for none at all write tokens: []' }) },
  { error: 'must hold the key tokens with a list of entries; for none at all write tokens: []' },
);

function addEntry(item: unknown, node: YamlNode, tokens: Map<string, TokenRecord>, faults: Fault[]): void {
  const { data, error } = tokenEntrySchema.safeParse(item);
  if (error !== undefined) {
    for (const issue of error.issues) faults.push(...issueFaults(issue, node, unknownKeyMessage));
    return;
  }
  const key = blind(Buffer.from(data.sha256, 'hex'));
  const earlier = tokens.get(key);
  if (earlier === undefined) {
    tokens.set(key, toRecord(data, node.place.line));
    return;
  }
  const message = `the same token as in line ${earlier.line} (sha256 ${data.sha256.slice(0, 8)}...): take one of the two out`;
  faults.push({ ...nodeAt(node, ['sha256']).place, message });
}

function issueFaults(issue: z.core.$ZodIssue, node: YamlNode, unknownKey: (key: string) => string): Fault[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ ...(keyOf(node, key)?.key ?? node).place, message: unknownKey(key) }));
  }
  // Of the path only the entry's own key is told: further down are names that somebody chose.
  const [key] = issue.path;
  const subject = key === undefined ? '' : `${issue.path.length > 1 ? 'a value in ' : ''}${String(key)} `;
  return [{ ...nodeAt(node, issue.path).place, message: subject + issue.message }];
}

function toRecord(entry: TokenEntry, line: number): TokenRecord {
  const { username, uid, groups, extra, audiences, notBefore, expiresAt } = entry;
  return freezeRecord({
    user: { username, ...(uid && { uid }), ...(groups && { groups }), ...(extra && { extra }) },
    ...(audiences && { audiences }),
    ...(notBefore !== undefined && { notBefore }),
    ...(expiresAt !== undefined && { expiresAt }),
    line,
  });
}
