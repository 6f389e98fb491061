import { basename } from 'node:path';

/** Writes the packages of a folder, a line for each with its size. @param bytes the size of each file, by its path */
export function writePackedList(folder: string, bytes: ReadonlyMap<string, number>): string {
  const names = [...bytes.keys()].map((path) => basename(path));
  const width = Math.max(...names.map((name) => name.length));
  const lines = [...bytes.values()].map((size, index) => {
    const kibibytes = String(Math.ceil(size / 1024)).padStart(6);
    return `  ${(names[index] ?? '').padEnd(width)}${kibibytes} KiB\n`;
  });
  return `${bytes.size} packages in ${folder}\n${lines.join('')}`;
}
