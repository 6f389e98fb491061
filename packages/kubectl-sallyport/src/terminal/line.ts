/** What has been typed so far, and what a terminal in raw mode leaves to its reader. */
export interface Line {
  /** Takes what was typed. @returns what to show for it, and whether the line has ended */
  type(text: string): { readonly shown: string; readonly end?: LineEnd };
  readonly text: string;
}

/** Enter; Ctrl-C; Ctrl-D on an empty line, or a terminal that is gone. */
export type LineEnd = 'entered' | 'interrupted' | 'closed';

/** Longer lines are no names or passwords. The rest is dropped. */
const longest = 1024;

const erase = '\b \b';

/** @param hidden true for a password: nothing of it is shown, not even its length */
export function createLine(hidden: boolean): Line {
  let characters: string[] = [];
  let inSequence = false;
  /** @returns what to show */
  function take(character: string): string {
    switch (character) {
      case '\b':
      case '\x7f':
        return characters.pop() === undefined ? '' : erase;
      // Ctrl-U
      case '\x15': {
        const shown = erase.repeat(characters.length);
        characters = [];
        return shown;
      }
      default: {
        if (/\p{Cc}/u.test(character) || characters.length === longest) return '';
        characters.push(character);
        return character;
      }
    }
  }
  return {
    get text() {
      return characters.join('');
    },
    type(typed) {
      let shown = '';
      for (const character of typed) {
        const end = endOf(character, characters.length === 0);
        if (end !== undefined) return { shown: hidden ? '' : shown, end };
        if (inSequence) {
          // The keys with arrows send `ESC [ A`; the last byte of such a sequence is a letter or `~`.
          inSequence = !/[A-Za-z~]/.test(character);
        } else if (character === '\x1b') {
          inSequence = true;
        } else {
          shown += take(character);
        }
      }
      return { shown: hidden ? '' : shown };
    },
  };
}

function endOf(character: string, empty: boolean): LineEnd | undefined {
  if (character === '\r' || character === '\n') return 'entered';
  if (character === '\x03') return 'interrupted';
  return character === '\x04' && empty ? 'closed' : undefined;
}
