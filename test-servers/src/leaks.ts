/** Encodes a text as Go's encoding/json does, and so kube-apiserver: `<`, `>` and `&` are escaped. */
export function goJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[<>&]/g,
    (character) => `\\u00${character.charCodeAt(0).toString(16)}`,
  );
}

/** The length of a part that random text never contains by chance. JSON.parse quotes as much in its messages. */
const fragmentLength = 10;

/** Encodes `bytes` in base64 for each start in a longer text: the three alignments, without the characters at the ends. */
function base64Alignments(bytes: Buffer): string[] {
  return [0, 1, 2].map((shift) => {
    const text = Buffer.concat([Buffer.alloc(shift), bytes])
      .toString('base64')
      .replace(/=+$/, '');
    const start = Math.ceil((shift * 8) / 6);
    const whole = Math.floor(((shift + bytes.length) * 8) / 6);
    return text.slice(start, whole);
  });
}

/** Encodes a secret in every way that a log line may, by the name of the encoding. */
export function disguises(secret: string): ReadonlyMap<string, readonly string[]> {
  const bytes = Buffer.from(secret);
  const base64 = base64Alignments(bytes);
  const hex = bytes.toString('hex');
  return new Map([
    ['in clear', [secret]],
    ['base64', base64],
    ['base64url', base64.map((text) => text.replaceAll('+', '-').replaceAll('/', '_'))],
    ['hex', [hex, hex.toUpperCase()]],
    [
      'URL-encoded',
      [encodeURIComponent(secret), new URLSearchParams({ a: secret }).toString().slice(2)],
    ],
    ['JSON-escaped', [JSON.stringify(secret).slice(1, -1), goJson(secret).slice(1, -1)]],
    ['JSON-escaped twice', [JSON.stringify(JSON.stringify(secret)).slice(3, -3)]],
  ]);
}

/** A text to search for, by any ten characters of it that log lines and encodings do not change. */
interface Needle {
  readonly secret: number;
  readonly encoding: string;
  readonly text: string;
}

const run = /[\w+/=-]{10,}/g;

/** The needles, each by one probe. Those without ten plain characters in a row are searched for one by one. */
function index(secrets: readonly string[]): {
  probes: Map<string, Needle[]>;
  others: Needle[];
  pieces: Map<string, number>;
} {
  const probes = new Map<string, Needle[]>();
  const others: Needle[] = [];
  const pieces = new Map<string, number>();
  for (const [number, secret] of secrets.entries()) {
    for (const [encoding, texts] of disguises(secret)) {
      for (const text of texts) {
        const probe = text.match(run)?.[0].slice(0, fragmentLength);
        const needle = { secret: number, encoding, text };
        if (probe === undefined) {
          others.push(needle);
        } else {
          probes.set(probe, [...(probes.get(probe) ?? []), needle]);
        }
      }
    }
    for (let start = 0; start + fragmentLength <= secret.length; start++) {
      pieces.set(secret.slice(start, start + fragmentLength), number);
    }
  }
  return { probes, others, pieces };
}

/** Finds every ten plain characters in a row. Most of a log has none, so a search of megabytes takes only a moment. */
function* windows(output: string): Generator<string> {
  for (const [text] of output.matchAll(run)) {
    for (let start = 0; start + fragmentLength <= text.length; start++) {
      yield text.slice(start, start + fragmentLength);
    }
  }
}

/** Finds where a text is. Six digits of a code are in digests and times by chance: they count where no letter or digit is next to them. */
function findPlace(output: string, text: string): number {
  return /^\d+$/.test(text)
    ? output.search(new RegExp(`(?<![\\da-z])${text}(?![\\da-z])`, 'i'))
    : output.indexOf(text);
}

/**
 * Searches `output` for each secret in each disguise, and for any ten characters of one in clear.
 *
 * @returns one line for each hit, with the number of the secret in `secrets` and the encoding, without the secret
 */
export function findLeaks(output: string, secrets: readonly string[]): string[] {
  const { probes, others, pieces } = index(secrets);
  const suspects = new Set<Needle>(others);
  const leaks = new Set<string>();
  for (const window of windows(output)) {
    for (const needle of probes.get(window) ?? []) {
      suspects.add(needle);
    }
    const number = pieces.get(window);
    if (number !== undefined) {
      leaks.add(`a piece of secret ${number + 1} of ${secrets.length} is in clear`);
    }
  }
  for (const { secret, encoding, text } of suspects) {
    const place = findPlace(output, text);
    if (place >= 0) {
      const line = output.slice(0, place).split('\n').length;
      leaks.add(`secret ${secret + 1} of ${secrets.length} is ${encoding} in line ${line}`);
    }
  }
  return [...leaks];
}
