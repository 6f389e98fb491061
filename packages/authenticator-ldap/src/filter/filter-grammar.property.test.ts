import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Filter } from './filter.ts';
import { parseFilterTemplate } from './filter-template.ts';

test('any filter comes out as it went in when it is printed and read', () => {
  fc.assert(
    fc.property(anyFilter, (filter) => {
      expect(parseFilterTemplate(print(filter), () => undefined).fill(() => [])).toEqual(filter);
    }),
  );
});

const attribute = fc.constantFrom('cn', 'uid', '2.5.4.3', 'userCertificate;binary', 'x-1');
const value = fc.uint8Array({ maxLength: 8 }).map((array) => Buffer.from(array));
const part = fc.uint8Array({ minLength: 1, maxLength: 8 }).map((array) => Buffer.from(array));

const anyFilter: fc.Arbitrary<Filter> = fc.letrec<{ filter: Filter }>((tie) => ({
  filter: fc.oneof(
    { depthSize: 'small' },
    fc.record({
      kind: fc.constantFrom('equality', 'greater-or-equal', 'less-or-equal', 'approximate'),
      attribute,
      value,
    }),
    fc.record({ kind: fc.constant('present'), attribute }),
    fc
      .record(
        {
          kind: fc.constant('substring'),
          attribute,
          initial: part,
          any: fc.array(part, { maxLength: 3 }),
          final: part,
        },
        { requiredKeys: ['kind', 'attribute', 'any'] },
      )
      .filter(
        ({ initial, any, final }) => initial !== undefined || final !== undefined || any.length > 0,
      ),
    fc
      .record(
        {
          kind: fc.constant('extensible'),
          attribute,
          rule: fc.constantFrom('1.2.3', 'caseExactMatch'),
          dnAttributes: fc.boolean(),
          value,
        },
        { requiredKeys: ['kind', 'dnAttributes', 'value'] },
      )
      .filter((filter) => filter.attribute !== undefined || filter.rule !== undefined),
    fc.record({ kind: fc.constant('not'), filter: tie('filter') }),
    fc.record({
      kind: fc.constantFrom('and', 'or'),
      filters: fc.array(tie('filter'), { minLength: 1, maxLength: 3 }),
    }),
  ) as fc.Arbitrary<Filter>,
})).filter;

const signs = { equality: '=', 'greater-or-equal': '>=', 'less-or-equal': '<=', approximate: '~=' };

function print(filter: Filter): string {
  switch (filter.kind) {
    case 'and':
    case 'or':
      return `(${filter.kind === 'and' ? '&' : '|'}${filter.filters.map(print).join('')})`;
    case 'not':
      return `(!${print(filter.filter)})`;
    case 'present':
      return `(${filter.attribute}=*)`;
    case 'substring': {
      const { initial = Buffer.alloc(0), any, final = Buffer.alloc(0) } = filter;
      return `(${filter.attribute}=${[initial, ...any, final].map(spell).join('*')})`;
    }
    case 'extensible': {
      const { attribute: name = '', rule, dnAttributes } = filter;
      return `(${name}${dnAttributes ? ':dn' : ''}${rule === undefined ? '' : `:${rule}`}:=${spell(filter.value)})`;
    }
    default:
      return `(${filter.attribute}${signs[filter.kind]}${spell(filter.value)})`;
  }
}

/** Leaves letters and digits as they are, so that both spellings are read. */
function spell(value: Buffer): string {
  return [...value]
    .map((byte) => {
      const character = String.fromCharCode(byte);
      return /[A-Za-z0-9 ]/.test(character) ? character : `\\${byte.toString(16).padStart(2, '0')}`;
    })
    .join('');
}
