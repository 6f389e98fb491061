import escapeHtml from 'escape-html';
import { printable } from '../../base/logging/printable.ts';

const markup = Symbol('markup');

/** A piece of HTML. Only the functions of this file make one, so all values in it are escaped. */
export interface Html {
  readonly [markup]: string;
}

/** What a template takes. Strings and numbers are text, and undefined is nothing. */
type HtmlValue = string | number | Html | readonly Html[] | undefined;

/**
 * Makes HTML of a template. It escapes every value that is not HTML itself. It shows control characters and direction
 * marks as escapes, since a device or a user names itself and must not reorder the words of the page.
 */
export function html(literals: TemplateStringsArray, ...values: readonly HtmlValue[]): Html {
  return { [markup]: String.raw({ raw: literals }, ...values.map(toMarkup)) };
}

/**
 * Escapes the value of a form field and changes nothing else: the browser sends it back. Like a value in `html`, it
 * needs quotes around it.
 */
export function fieldValue(text: string): Html {
  return { [markup]: escapeHtml(text) };
}

export function render(page: Html): string {
  return page[markup];
}

function toMarkup(value: HtmlValue): string {
  if (value === undefined) return '';
  if (typeof value === 'string' || typeof value === 'number') {
    return escapeHtml(printable(String(value)));
  }
  return markup in value ? value[markup] : value.map(render).join('');
}
