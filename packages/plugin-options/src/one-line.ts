/** Free text of a server or of the system, for a message of one line: short, and printable characters only. */
export function oneLine(text: string): string {
  const printable = text.replace(/[\p{C}\p{Zl}\p{Zp}]+/gu, ' ').trim();
  return printable.length > 200 ? `${printable.slice(0, 200)}...` : printable;
}
