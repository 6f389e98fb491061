import { expect, test } from 'vitest';
import { filterText } from './filter.ts';
import { parseFilterTemplate } from './filter-template.ts';

const template = (text: string) => parseFilterTemplate(text, () => undefined);

test.each([
  ...['(&(objectClass=*)(|(uid=jane)(mail=j*a*ne)))', '(!(a>=1))', '(a<=1)', '(cn~=jane)'],
  ...['(member:1.2.840.113556.1.4.1941:=cn=a,dc=b)', '(ou:dn:caseIgnoreMatch:=a b)', '(cn=*\\2a*)'],
])('%s is shown as it is written', (text) => {
  const filter = template(text).fill(() => []);
  expect(filter && filterText(filter)).toBe(text);
});

test.each([
  ['a*)(uid=b\\', '(uid=a\\2a\\29\\28uid=b\\5c)'],
  ['\u001b[2J\u202e', '(uid=\\1b[2J\\e2\\80\\ae)'],
  ['zoë', '(uid=zoë)'],
])('the value %j is escaped, and reads as the same filter', (value, text) => {
  const filter = template('(uid={username})').fill(() => [value]);
  expect(filter && filterText(filter)).toBe(text);
  expect(template(text).fill(() => [])).toEqual(filter);
});

test('a value that is not a string is written by its bytes', () => {
  const filter = template('(id={username})').fill(() => [Buffer.from([0xff, 0x41])]);
  expect(filter && filterText(filter)).toBe('(id=\\ff\\41)');
});
