import { type Document, isScalar, isSeq, type Node, visit, type YAMLMap } from 'yaml';

/** Two equal keys of one map. */
interface DuplicateKeys {
  readonly map: YAMLMap;
  /** The offset of the first one. */
  readonly first: number;
  /** Whether the second one most likely begins a new entry of a list, without its dash. */
  readonly isEntry: boolean;
}

/** Finds two equal keys. @param offset the offset of the second one */
export function duplicateKeysAt(offset: number, document: Document): DuplicateKeys | undefined {
  let found: DuplicateKeys | undefined;
  visit(document, {
    Map(_key, map, path) {
      const keys = map.items.map(({ key }) => key as Node | null);
      const names = keys.map((key) => (isScalar(key) ? String(key.value) : key));
      const second = keys.findIndex((key) => key?.range?.[0] === offset);
      if (second === -1) return undefined;
      const first = names.indexOf(names[second] ?? null);
      const repeats = names.length - new Set(names).size;
      const isEntry = isSeq(path.at(-1)) && (first === 0 || repeats > 1);
      found = { map, first: keys[first]?.range?.[0] ?? offset, isEntry };
      return visit.BREAK;
    },
  });
  return found;
}

/** Matches blanks that look like a space on a screen, or like nothing. Web pages and chats write them in the place of spaces. */
const blank = String.raw`[\u00a0\u1680\u2000-\u200b\u202f\u205f\u2060\u3000\ufeff]`;
const inPlaceOfSpaces = new RegExp(`^ *(?:- *)*(?:[\\w.-]+:)?${blank}`);
const aroundKey = new RegExp(`^${blank}|${blank}$`);

export interface Slip {
  readonly offset: number;
  readonly message: string;
  readonly fix: string;
}

/** Finds a blank in the line of an error, where YAML needs spaces. @param offset that of the error */
export function blankInLineOf(offset: number, text: string): Slip | undefined {
  const start = text.lastIndexOf('\n', offset - 1) + 1;
  const [line = ''] = /.*/.exec(text.slice(start)) ?? [];
  const match = inPlaceOfSpaces.exec(line);
  return match === null ? undefined : blankAt(start + match[0].length - 1, text);
}

/** Finds a blank at the beginning or end of a key, which YAML reads as a part of it. */
export function blankAroundKey(text: string, document: Document): Slip | undefined {
  let found: Slip | undefined;
  visit(document, {
    Pair(_key, { key }) {
      if (!isScalar(key) || key.type !== 'PLAIN') return undefined;
      const match = aroundKey.exec(String(key.value));
      if (match === null) return undefined;
      found = blankAt((key.range?.[0] ?? 0) + match.index, text);
      return visit.BREAK;
    },
  });
  return found;
}

function blankAt(offset: number, text: string): Slip {
  const code = text.charCodeAt(offset).toString(16).toUpperCase().padStart(4, '0');
  const message = `the blank here is not a space (U+${code}), and YAML reads it as a letter`;
  return { offset, message, fix: 'use spaces, on the other lines as well' };
}
