/** What must change for a text to be YAML. Quotes nothing of the text but words of YAML: it may hold a password. */
export interface YamlCause {
  /** Where in the text. */
  readonly offset: number;
  readonly message: string;
  readonly fix?: string;
}

/** What the parser reports: its code, its own words, and where it noticed. */
export interface YamlError {
  readonly code: string;
  readonly message: string;
  readonly offset: number;
}

/** Each of these comes from one slip and causes no other errors. */
const independent = /^(TAB_AS_INDENT|DUPLICATE_KEY|TAG_RESOLVE_FAILED|BAD_ALIAS|BAD_SCALAR_START|BAD_DQ_ESCAPE)$/;

/** As many as help. */
const most = 5;

/**
 * Finds the slips behind a parser's errors, each at the line that must change: the parser often reports another line. One
 * slip of indentation or of brackets causes a row of errors, so nothing is reported after the first of that kind.
 */
export function yamlCauses(text: string, errors: readonly YamlError[]): readonly YamlCause[] {
  const tabs = errors.filter(({ code }) => code === 'TAB_AS_INDENT');
  const causes: YamlCause[] = [];
  for (const error of (tabs.length > 0 ? tabs : errors).slice(0, most)) {
    const colon = colonInValue(text, error);
    causes.push(colon ?? causeOf(text, error));
    if (colon === undefined && !independent.test(error.code)) break;
  }
  return causes;
}

const quoteIt = 'put the whole value in quotes';

/** `prefix: corp:` and `name: a: b`: to YAML the value begins a map of its own. */
function colonInValue(text: string, { code, offset }: YamlError): YamlCause | undefined {
  if (!/^BLOCK_(AS_IMPLICIT_KEY|IN_FLOW)$/.test(code)) return undefined;
  const rest = lineFrom(text, offset).replace(/\s#.*/, '');
  if (!/:(?=[\s,}\]]|$)/.test(rest)) return undefined;
  return { offset, message: 'a value holds a colon where YAML ends a key', fix: quoteIt };
}

function causeOf(text: string, error: YamlError): YamlCause {
  return causeInAnotherLine(text, error) ?? { offset: error.offset, ...causeHere(text, error) };
}

function causeInAnotherLine(text: string, { code, message, offset }: YamlError): YamlCause | undefined {
  const bracket = /end with a ([\]}])/.exec(message)?.[1];
  if (bracket !== undefined) return unclosedBracket(text, offset, bracket);
  const quote = /^Missing closing (["'])/.exec(message)?.[1];
  if (quote !== undefined) return unclosedQuote(text, offset, quote);
  if (code === 'BLOCK_AS_IMPLICIT_KEY') return beforeDeeperLine(text, offset);
  if (code === 'BAD_INDENT' || message.startsWith('Sequence item without')) return wrongIndent(text, offset);
  if (code === 'MULTILINE_IMPLICIT_KEY' || message.startsWith('Implicit map keys need')) return noKey(text, offset);
  return undefined;
}

function unclosedBracket(text: string, offset: number, bracket: string): YamlCause {
  const open = bracket === ']' ? '[' : '{';
  const opened = text.lastIndexOf(open, offset - 1);
  return { offset: Math.max(opened, 0), message: `"${open}" is not closed`, fix: `close it with "${bracket}"` };
}

/** The first value that a quote begins and none ends in its line: the parser reads on, to the end of the file. */
function unclosedQuote(text: string, offset: number, quote: string): YamlCause {
  const begins = new RegExp(`(?:^|[:,[{-])[ \\t]*(${quote})(?!.*${quote})`, 'gmd');
  const first = begins.exec(text.slice(0, offset))?.indices?.[1]?.[0];
  const opened = first ?? text.lastIndexOf(quote, offset - 1);
  return { offset: Math.max(opened, 0), message: 'a quote is not closed', fix: `end the value with ${quote}` };
}

/** A key with a value, and beneath it a line that is indented as if there were none. */
function beforeDeeperLine(text: string, offset: number): YamlCause | undefined {
  const dash = lineStart(text, offset);
  if (/^\s*-[^\s-]/.test(lineFrom(text, dash))) {
    return { offset: firstWord(text, dash), message: 'an item of a list needs a space after its dash', fix: 'add it' };
  }
  const next = nextLine(text, offset);
  if (next === undefined || firstWord(text, next) - next <= firstWord(text, dash) - dash) return undefined;
  return {
    offset: firstWord(text, next),
    message: 'is indented deeper than the key above it, which has a value of its own',
    fix: 'align the two',
  };
}

function wrongIndent(text: string, offset: number): YamlCause {
  const reported = lineStart(text, offset);
  const start = isBlank(lineFrom(text, reported)) ? (nextLine(text, reported) ?? reported) : reported;
  const indent = text.slice(start, firstWord(text, start));
  if (indent.includes('\t')) return { offset: start + indent.indexOf('\t'), ...tab };
  return {
    offset: start + indent.length,
    message: 'the indentation does not fit the lines above',
    fix: 'align it with the lines that it belongs to',
  };
}

/** A line that YAML takes for a key, but that has no colon where a key ends. */
function noKey(text: string, offset: number): YamlCause {
  const line = lineFrom(text, offset);
  if (/^[\w.-]+:\S/.test(line)) return { offset, message: 'a space is missing after the colon', fix: 'add it' };
  return { offset, message: 'a key without a colon', fix: 'write ":" after it, or align it with what it belongs to' };
}

const tab = { message: 'a tab is used to indent', fix: 'use spaces' };

type Words = Omit<YamlCause, 'offset'>;

const words: Readonly<Record<string, Words>> = {
  TAB_AS_INDENT: tab,
  DUPLICATE_KEY: { message: 'duplicate key', fix: 'remove one' },
  MULTIPLE_DOCS: { message: 'a second document begins here', fix: 'keep one and remove the "---" line' },
  RESOURCE_EXHAUSTION: { message: 'values are nested too deep' },
  TAG_RESOLVE_FAILED: {
    message: 'a tag (a word that begins with "!") is not known',
    fix: 'quote a value that begins with !',
  },
  NON_STRING_KEY: { message: 'a key must be a word', fix: 'quote a key that begins with [ or {' },
  BAD_ALIAS: {
    message: 'an alias (a word that begins with "*") names nothing',
    fix: 'quote a value that begins with *',
  },
  BAD_SCALAR_START: { message: 'a value begins with a sign of YAML (@, ` or %)', fix: quoteIt },
  BAD_DQ_ESCAPE: {
    message: 'a backslash in double quotes begins no escape that YAML knows',
    fix: "write \\\\ for a backslash, or put the value in single quotes: '…'",
  },
  BLOCK_AS_IMPLICIT_KEY: {
    message: 'a nested map must begin on a line of its own',
    fix: 'quote a value that holds ": "',
  },
  MISSING_CHAR: { message: 'a quote, bracket or comma is missing' },
  UNEXPECTED_TOKEN: {
    message: 'does not belong here',
    fix: 'quote a value that begins with | or > or another sign of YAML',
  },
};

function causeHere(text: string, { code, message, offset }: YamlError): Words {
  if (message.startsWith('Unexpected block-seq-ind')) {
    return { message: 'a list begins in the line of its key', fix: 'begin it in the next line, or write [ … ]' };
  }
  if (message === 'Unexpected scalar at node end') return afterValue(text[offset - 1] ?? '');
  // The parser's own words quote the text, and that may be a password written where { env } belongs.
  return words[code] ?? { message: 'is not valid YAML here', fix: 'check quotes, indentation and brackets' };
}

function afterValue(before: string): Words {
  if (before === "'") return { message: "a value goes on after its quotes end: write '' for a quote in single quotes" };
  if (before === '"')
    return { message: 'a value goes on after its quotes end: write \\" for a quote in double quotes' };
  return { message: 'a value goes on after its brackets end', fix: 'quote a value that begins with [ or {' };
}

function lineStart(text: string, offset: number): number {
  return text.lastIndexOf('\n', offset - 1) + 1;
}

function lineFrom(text: string, offset: number): string {
  return /.*/.exec(text.slice(offset))?.[0] ?? '';
}

/** Where the line that begins at `start` has its first word. */
function firstWord(text: string, start: number): number {
  return start + (/^[ \t]*/.exec(text.slice(start))?.[0].length ?? 0);
}

/** Where the next line begins that holds more than a comment. */
function nextLine(text: string, offset: number): number | undefined {
  for (let end = text.indexOf('\n', offset); end !== -1; end = text.indexOf('\n', end + 1)) {
    if (!isBlank(lineFrom(text, end + 1))) return end + 1;
  }
  return undefined;
}

function isBlank(line: string): boolean {
  return /^\s*(#|$)/.test(line);
}
