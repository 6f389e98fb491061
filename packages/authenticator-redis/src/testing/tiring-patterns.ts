/** Regular expressions for which a search that goes back takes longer than the universe has. */
export const tiringPatterns: readonly string[] = [
  '(a+)+b',
  '(a|aa)+$',
  '(a*)*b',
  '(.*a){12}',
  '([a-z]+)*\\d',
];
