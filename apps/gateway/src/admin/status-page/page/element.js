/**
 * Creates an element. Texts become text nodes, so no name can be markup.
 *
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Readonly<Record<string, string>>} attributes
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function element(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/**
 * Sets a text if it differs, so that screen readers read changes only.
 *
 * @param {Element} target
 * @param {string} text
 */
export function setText(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

/** @param {string} id */
export function byId(id) {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no #${id}`);
  return found;
}

/**
 * A time: the local time of day, and under the pointer the whole time in UTC, as in the log.
 *
 * @param {number} at
 * @param {'time' | 'date'} part
 */
export function moment(at, part = 'time') {
  const date = new Date(at);
  const iso = date.toISOString();
  const text = part === 'time' ? clock(date) : iso.slice(0, 10);
  return element('time', { datetime: iso, title: iso }, text);
}

/** @param {Date} date */
export function clock(date) {
  return date.toLocaleTimeString('en-GB');
}
