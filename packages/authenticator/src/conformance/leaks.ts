import { types } from 'node:util';

/** A secret with the name that a failure message uses. */
export interface NamedSecret {
  readonly name: string;
  readonly value: string;
}

/** Characters of half a secret. A shorter half proves nothing, since a word of English may be as long. */
const minHalfLength = 12;

/** Returns the forms that a secret may have in a text: as it is, half of it, and in the usual encodings. */
function spellings(secret: string): readonly string[] {
  const bytes = Buffer.from(secret);
  const middle = Math.ceil(secret.length / 2);
  const halves = [secret.slice(0, middle), secret.slice(-middle)].filter(
    (half) => half.length >= minHalfLength,
  );
  const forms = [
    secret,
    ...halves,
    // Text with padding contains the one without it.
    bytes.toString('base64').replace(/=+$/, ''),
    bytes.toString('base64url'),
    bytes.toString('hex'),
    bytes.toString('hex').toUpperCase(),
    // encodeURIComponent refuses lone surrogates.
    encodeURIComponent(secret.toWellFormed()),
    JSON.stringify(secret).slice(1, -1),
  ];
  return [...new Set(forms)];
}

/** Finds secrets in texts. Their spellings are computed once: a case searches many texts. */
export function secretFinder(secrets: readonly NamedSecret[]): {
  /** @returns the names of the secrets in the value, at any depth */
  find(value: unknown): readonly string[];
  /** Replaces each spelling of each secret by the secret's name. */
  redact(text: string): string;
} {
  const forms = secrets.flatMap(({ name, value }) =>
    spellings(value).map((spelling) => ({ name, spelling })),
  );
  // The longest is first, so that a half is not replaced before the whole.
  forms.sort((a, b) => b.spelling.length - a.spelling.length);
  return {
    find(value) {
      const text = collectTexts(value).join('\n');
      return [
        ...new Set(forms.filter(({ spelling }) => text.includes(spelling)).map(({ name }) => name)),
      ];
    },
    redact: (text) =>
      forms.reduce(
        (redacted, { name, spelling }) => redacted.replaceAll(spelling, `[${name}]`),
        text,
      ),
  };
}

/** These limits reach the headers of a request in a cause of a cause, and not a whole client with its sockets. */
const maxDepth = 6;
const maxValues = 20_000;

/** Collects all strings in a value: own properties (hidden ones too), causes, entries of maps and sets, bytes as UTF-8. */
function collectTexts(value: unknown): readonly string[] {
  const texts: string[] = [];
  const visited = new Set<object>();

  function visit(node: unknown, depth: number): void {
    if (typeof node === 'string') texts.push(node);
    if (typeof node === 'symbol') texts.push(node.description ?? '');
    if (typeof node !== 'object' || node === null) return;
    if (depth > maxDepth || visited.size >= maxValues || visited.has(node)) return;
    visited.add(node);
    if (ArrayBuffer.isView(node)) {
      texts.push(Buffer.from(node.buffer, node.byteOffset, node.byteLength).toString());
      return;
    }
    if (types.isMap(node) || types.isSet(node)) for (const entry of node) visit(entry, depth + 1);
    for (const key of Reflect.ownKeys(node)) {
      visit(key, depth + 1);
      visit(readProperty(node, key), depth + 1);
    }
  }

  visit(value, 0);
  return texts;
}

function readProperty(holder: object, key: string | symbol): unknown {
  try {
    return Reflect.get(holder, key);
  } catch {
    // A getter that throws has no value.
    return undefined;
  }
}
