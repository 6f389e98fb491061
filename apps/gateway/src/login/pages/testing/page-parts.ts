export const tagsOf = (page: string, name: string): string[] =>
  page.match(new RegExp(`<${name}\\b[^>]*>`, 'g')) ?? [];

export const titleOf = (page: string) => page.match(/<title>(.*)<\/title>/)?.[1];

/** Returns the words of a page, without its tags, its style and its script. */
export const wordsOf = (page: string) =>
  page
    .replace(/<(title|style|script)>.*?<\/\1>/gs, '')
    .replace(/<[^>]*>/g, '')
    .replaceAll('&#39;', "'")
    .replace(/\s+/g, ' ');

/** Reads the value of an attribute as a browser does. */
export function attributeOf(tag: string, name: string): string | undefined {
  const [, value] = new RegExp(` ${name}="([^"]*)"`).exec(tag) ?? [];
  const marks: Readonly<Record<string, string>> = {
    lt: '<',
    gt: '>',
    quot: '"',
    '#39': "'",
    amp: '&',
  };
  return value?.replaceAll(/&(lt|gt|quot|#39|amp);/g, (_, mark: string) => marks[mark] ?? '');
}
