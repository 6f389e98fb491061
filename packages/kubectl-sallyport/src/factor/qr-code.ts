import { renderUnicodeCompact } from 'uqr';

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
 * @param columns the width of the terminal; 0 if it is not known
 * @returns undefined if the terminal can't show it
 */
export function qrCode(text: string, columns = 0): string | undefined {
  if (process.env.TERM === 'dumb') return;
  const lines = renderUnicodeCompact(text, { border }).split('\n');
  if (lines.some((line) => line.length > columns)) return;
  return lines.map((line) => `${colors}${line}${noColors}\n`).join('');
}
