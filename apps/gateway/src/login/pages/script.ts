import { createHash } from 'node:crypto';
import { html, render } from './html.ts';

/**
 * The script of the pages that need one. It is the same text for each page, so that the content security policy can name
 * it: what a page says is in attributes and in hidden elements. It needs no function that makes HTML or code from text.
 *
 * For a passkey, it shows the form, and asks the browser for the passkey when the person submits the form. A browser without
 * scripts leaves the form hidden, and shows the note next to it.
 *
 * For a code to paste, it selects the code, and shows the button that copies it.
 *
 * For a confirmation, it replaces the box to tick by a delay: the buttons work a second after the page or its window comes to the
 * front. Otherwise the second press of a double click on another page, or on the window above, would confirm. Firefox delays its
 * own dialogs as long (security.dialog_enable_delay).
 */
export const script = html`
'use strict';
for (const form of document.querySelectorAll('form[data-passkey]')) {
  const errors = form.querySelectorAll('[data-error]');
  const show = (kind) => {
    for (const error of errors) error.hidden = error.dataset.error !== kind;
  };
  const ask = () => {
    const options = JSON.parse(form.dataset.options);
    return form.dataset.passkey === 'create'
      ? navigator.credentials.create({
          publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options),
        })
      : navigator.credentials.get({
          publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options),
        });
  };
  const kindOf = ({ name }) => {
    if (name === 'NotAllowedError' || name === 'AbortError') return 'cancelled';
    return name === 'InvalidStateError' ? 'registered' : 'failed';
  };
  let isWaiting = false;
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    if (isWaiting) return;
    show(undefined);
    if (!globalThis.PublicKeyCredential?.parseRequestOptionsFromJSON) return show('unsupported');
    isWaiting = true;
    try {
      const credential = await ask();
      form.elements.namedItem('response').value = JSON.stringify(credential.toJSON());
      form.submit();
    } catch (error) {
      show(kindOf(error));
    } finally {
      isWaiting = false;
    }
  });
  form.hidden = false;
  form.nextElementSibling.hidden = true;
}
for (const button of document.querySelectorAll('button[data-copies]')) {
  const field = document.getElementById(button.dataset.copies);
  field.select();
  button.addEventListener('click', async () => {
    field.select();
    await navigator.clipboard.writeText(field.value);
    button.textContent = button.dataset.copied;
  });
  button.hidden = !navigator.clipboard;
}
for (const form of document.querySelectorAll('form[data-delayed]')) {
  form.querySelector('[data-box]').remove();
  const buttons = form.querySelectorAll('button:not([formnovalidate])');
  const disable = (isDisabled) => {
    for (const button of buttons) button.disabled = isDisabled;
  };
  let timer;
  const delay = () => {
    disable(true);
    clearTimeout(timer);
    timer = setTimeout(disable, 1000, false);
  };
  for (const event of ['pageshow', 'focus']) addEventListener(event, delay);
  delay();
}
`;

/** The source of the script in a content security policy. */
export const scriptSource = `'sha256-${createHash('sha256').update(render(script)).digest('base64')}'`;
