import type { z } from 'zod';
import { nearest } from './nearest.ts';

type RawIssue = z.core.$ZodRawIssue;

const kinds: Readonly<Record<string, string>> = {
  object: 'keys and values',
  record: 'keys and values',
  array: 'a list',
  string: 'text',
  number: 'a number',
  int: 'a whole number',
};

/** Zod's issues in the words of an operator. Undefined: zod's own words serve. */
export function wordIssue(issue: RawIssue): string | undefined {
  if (issue.input === undefined) return 'is missing';
  if (issue.input === null) return 'is empty: give it a value, or remove the key';
  if (issue.code === 'invalid_type') {
    const list = issue.expected === 'array' ? `: ${writeList(issue.input)}` : '';
    return `must be ${kinds[issue.expected] ?? issue.expected}${list}`;
  }
  if (issue.code === 'invalid_value') return wordChoice(issue.values.map(String), issue.input);
  if (issue.code === 'too_small') return wordBound('at least', issue.origin, issue.minimum);
  if (issue.code === 'too_big') return wordBound('at most', issue.origin, issue.maximum);
  return undefined;
}

/** What is quoted comes from places that hold no secret. */
function writeList(input: unknown): string {
  if (typeof input !== 'string' || input.length > 100) return 'begin each of its entries with "- "';
  return `write [${/^\w[\w:./-]*$/.test(input) ? input : JSON.stringify(input)}]`;
}

function wordChoice(values: readonly string[], input: unknown): string {
  const near = nearest(String(input), values);
  return `must be ${values.join(' or ')}${near === undefined || values.length === 1 ? '' : `: did you mean ${near}?`}`;
}

function wordBound(bound: string, origin: string, limit: number | bigint): string {
  if (origin === 'array') return limit === 1 ? 'must not be empty' : `must have ${bound} ${limit} entries`;
  if (origin !== 'string') return `must be ${bound} ${limit}`;
  return limit === 1 ? 'must not be empty' : `must have ${bound} ${limit} characters`;
}
