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
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/**
 * Shows elements in a list, in their order. Each is there as long as its key, so that nothing flickers, no selected
 * text is lost, and screen readers read only changes.
 *
 * @template {{ readonly element: HTMLElement }} View
 * @param {HTMLElement} list
 * @returns {(views: readonly (readonly [key: string, create: () => View])[]) => ReadonlyMap<string, View>}
 */
export function createViewList(list) {
  /** @type {ReadonlyMap<string, View>} */
  let shown = new Map();
  return (views) => {
    shown = new Map(views.map(([key, create]) => [key, shown.get(key) ?? create()]));
    const elements = new Set(
      [...shown.values()].map((view) => /** @type {Element} */ (view.element)),
    );
    for (const child of [...list.children]) if (!elements.has(child)) child.remove();
    for (const [index, child] of [...elements].entries()) {
      if (list.children[index] !== child) list.insertBefore(child, list.children[index] ?? null);
    }
    return shown;
  };
}

/** Sets a text if it differs, so that screen readers read changes only. @param {Element} target @param {string} text */
export function setText(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

/** @param {string} id of an element that the page has */
export function byId(id) {
  return /** @type {HTMLElement} */ (document.getElementById(id));
}

/** Creates a time, and under the pointer the whole time in UTC, as in the log. @param {number} at @param {'time' | 'date'} format */
export function moment(at, format = 'time') {
  const iso = new Date(at).toISOString();
  return element(
    'time',
    { datetime: iso, title: iso },
    format === 'time' ? clock(at) : iso.slice(0, 10),
  );
}

/** Writes the local time of day. @param {number} at */
export function clock(at) {
  return new Date(at).toLocaleTimeString('en-GB');
}
