/** A line ends with Enter, with Ctrl-C, or with Ctrl-D on an empty line or a terminal that is gone. */
export type LineEnd = 'entered' | 'interrupted' | 'closed';

/** No name or password is longer. The rest of a line is dropped. */
const maxLength = 1024;

const erase = '\b \b';

/**
 * A key such as an arrow sends a sequence that begins like this: `ESC [ 3 ~` or `ESC O P`. It is
 * not part of a name.
 */
// biome-ignore lint/suspicious/noControlCharactersInRegex: ESC begins such a sequence.
const isIncomplete = /^\x1b(O?|\[[^@-~]*)$/;

/**
 * Edits a line, which a terminal in raw mode leaves to its reader.
 *
 * @param hidden shows nothing, not even the length of a password
 */
export function createLine(hidden: boolean) {
  let characters: string[] = [];
  let sequence = '';
  /** Takes one character. @returns what to show */
  function take(character: string): string {
    const start = character === '\x1b' ? '' : sequence;
    const isInside = isIncomplete.test(start + character);
    sequence = isInside ? start + character : '';
    // What ends a sequence is part of it; what follows an escape alone is not.
    if (isInside || start.length > 1) return '';
    switch (character) {
      case '\b':
      case '\x7f':
        return characters.pop() === undefined ? '' : erase;
      // Ctrl-U erases the line.
      case '\x15': {
        const shown = erase.repeat(characters.length);
        characters = [];
        return shown;
      }
      default: {
        if (/\p{Cc}/u.test(character) || characters.length === maxLength) return '';
        characters.push(character);
        return character;
      }
    }
  }
  return {
    get text() {
      return characters.join('');
    },
    /**
     * Takes what was typed.
     *
     * @returns what to show for it, whether the line has ended, and what was typed behind its end
     */
    type(typed: string): { readonly shown: string; readonly end?: LineEnd; readonly rest: string } {
      let shown = '';
      let length = 0;
      for (const character of typed) {
        length += character.length;
        const end = findEnd(character, characters.length === 0);
        if (end !== undefined)
          return { shown: hidden ? '' : shown, end, rest: typed.slice(length) };
        shown += take(character);
      }
      return { shown: hidden ? '' : shown, rest: '' };
    },
  };
}

function findEnd(character: string, empty: boolean): LineEnd | undefined {
  if (character === '\r' || character === '\n') return 'entered';
  if (character === '\x03') return 'interrupted';
  return character === '\x04' && empty ? 'closed' : undefined;
}
