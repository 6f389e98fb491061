import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fieldValue, type Html, html, render } from './html.ts';

test.each([
  {
    name: 'text',
    value: 'a < b & "c" \'d\'',
    expected: 'a &lt; b &amp; &quot;c&quot; &#39;d&#39;',
  },
  { name: 'a number', value: 60, expected: '60' },
  { name: 'undefined', value: undefined, expected: '' },
  { name: 'HTML', value: html`<b>${'<'}</b>`, expected: '<b>&lt;</b>' },
  { name: 'a list', value: [html`<i></i>`, html`${'&'}`], expected: '<i></i>&amp;' },
  {
    name: 'marks that a page must not obey',
    value: 'a\u202eb\nc\u0000',
    expected: String.raw`a\u{202e}b\u{a}c\u{0}`,
  },
])('$name in a template', ({ value, expected }) => {
  expect(render(html`(${value})`)).toBe(`(${expected})`);
});

test('an object that only looks like HTML is not inserted', () => {
  const forged = JSON.parse('{ "markup": "<script>" }') as Html;
  expect(() => html`${forged}`).toThrow(TypeError);
});

test('the value of a field keeps what the person typed', () => {
  expect(render(html`value="${fieldValue('a\u200cb" c')}"`)).toBe('value="a\u200cb&quot; c"');
});

test('no value leaves its place', () => {
  const unit = fc.oneof(
    fc.constantFrom('<', '>', '"', "'", '&'),
    fc.nat(0xffff).map((code) => String.fromCharCode(code)),
  );
  fc.assert(
    fc.property(fc.string({ unit }), (value) => {
      for (const escaped of [render(html`${value}`), render(fieldValue(value))]) {
        expect(escaped).not.toMatch(/[<>"']|&(?!(?:lt|gt|amp|quot|#39);)/);
      }
    }),
  );
});
