import { oneOrMore, type ParseResult, parseText, value } from '@sallyport/plugin-kit';
import type { z } from 'zod';
import {
  attributeDescriptionPattern,
  isAttributeDescription,
  parseDn,
} from '../filter/distinguished-name.ts';
import { TemplateError } from '../filter/templates.ts';

export function attribute(description: string, example: string) {
  return value({ description, pattern: attributeDescriptionPattern }, (input) =>
    parseAttribute(input, example),
  );
}

export function parseAttribute(input: unknown, example: string): ParseResult<string> {
  const parsed = parseText(input, example);
  if ('problem' in parsed || isAttributeDescription(parsed.value)) return parsed;
  const problem = `${JSON.stringify(parsed.value)} is not the name of an attribute`;
  return { problem, fix: `it has letters, digits and dashes; write ${example}` };
}

export function template<Template>(
  description: string,
  example: string,
  parse: (text: string) => Template,
): z.ZodType<Template> {
  return value({ description, minLength: 1 }, (input) => {
    // Filters may have several lines, so their own parser checks the text.
    const parsed =
      typeof input === 'string' && input !== '' ? { value: input } : parseText(input, example);
    if ('problem' in parsed) return parsed;
    const [quoted] = /(['"])\{[^{}]*\}\1/.exec(parsed.value) ?? [];
    if (quoted !== undefined) {
      const fix = `write ${quoted.slice(1, -1)}`;
      return { problem: `${quoted} has quotes, which would be a part of the value`, fix };
    }
    const [dnOfName] = /\(memberUid=\{dn\}\)/i.exec(parsed.value) ?? [];
    if (dnOfName !== undefined)
      // RFC 2307, section 2.
      return {
        problem: 'memberUid has usernames, and no DNs',
        fix: 'write (memberUid={username})',
      };
    try {
      return { value: parse(parsed.value) };
    } catch (error) {
      if (!(error instanceof TemplateError)) throw error;
      return { problem: error.problem, fix: error.fix };
    }
  });
}

export function bases(description: string, example: string): z.ZodType<readonly string[]> {
  return oneOrMore({ description, items: { minLength: 1 } }, 16, (input) =>
    parseDnText(input, example),
  );
}

export function dn(description: string, example: string): z.ZodType<string> {
  return value({ description, minLength: 1 }, (input) => parseDnText(input, example));
}

function parseDnText(input: unknown, example: string): ParseResult<string> {
  const parsed = parseText(input, example);
  if ('problem' in parsed || parseDn(parsed.value)?.length) return parsed;
  return { problem: `${JSON.stringify(parsed.value)} is not a DN`, fix: `write ${example}` };
}
