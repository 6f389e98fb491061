/** A template of the config that can't be read. The message is the fault and the mend. */
export class TemplateFault extends Error {
  override readonly name = 'TemplateFault';
  /** With its place. */
  readonly fault: string;
  /** What to write instead. */
  readonly mend: string;

  /** @param index where in the text, in UTF-16 units; told as a column that counts characters from 1 */
  constructor(text: string, index: number, fault: string, mend: string) {
    const placed = `column ${[...text.slice(0, index)].length + 1}: ${fault}`;
    super(`${placed}: ${mend}`);
    this.fault = placed;
    this.mend = mend;
  }
}
