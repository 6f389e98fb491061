/** A scanner needs white around the code. */
const border = 2;

/**
 * The colors of xterm that no theme changes: white on black. Without them, the code would be inverted on a light screen, and most
 * scanners can't read that.
 */
const colors = '\x1b[38;5;231;48;5;232m';
const noColors = '\x1b[0m';

/**
 * Draws a QR code for a terminal.
 *
 * @param columns the width of the terminal
 * @returns undefined if the terminal can't show it
 */
export async function qrCode(
  text: string,
  columns = 0,
  term: string | undefined = process.env.TERM,
): Promise<string | undefined> {
  if (columns === 0 || term === 'dumb') return;
  // It is loaded here alone: kubectl waits for other commands.
  const { renderUnicodeCompact } = await import('uqr');
  const lines = renderUnicodeCompact(text, { border }).split('\n');
  if (lines.some((line) => line.length > columns)) return;
  return lines.map((line) => `${colors}${line}${noColors}\n`).join('');
}
