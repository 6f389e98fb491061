/** A template of the config that can't be read. The message is the problem and the fix. */
export class TemplateError extends Error {
  override readonly name = 'TemplateError';
  /** With its column. */
  readonly problem: string;
  readonly fix: string;

  /** @param index where in the text, in UTF-16 units; the column in the message counts characters from 1 */
  constructor(text: string, index: number, problem: string, fix: string) {
    const placed = `column ${[...text.slice(0, index)].length + 1}: ${problem}`;
    super(`${placed}: ${fix}`);
    this.problem = placed;
    this.fix = fix;
  }
}
