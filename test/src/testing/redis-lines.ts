import { readDocument } from './deployed.ts';

/** The lines of an ACL file below a heading of docs/redis.md, in their order. @throws Error when there are none */
export async function documentedLines(heading: string): Promise<readonly string[]> {
  const sections = (await readDocument('docs/redis.md')).split(/^#+ /m);
  const section = sections.find((text) => text.startsWith(`${heading}\n`)) ?? '';
  const lines = section.match(/^user .*$/gm);
  if (lines === null)
    throw new Error(`docs/redis.md has no line of an ACL file under "${heading}"`);
  return lines;
}

/** The keys of a config with which the user of a line logs in. @param file has the password */
export function loginOf(
  line: string,
  file: string,
): { readonly username: string; readonly password: object } {
  const [, username = ''] = /^user (\S+)/.exec(line) ?? [];
  return { username, password: { file } };
}
