/** What has been typed so far, and what a terminal in raw mode leaves to its reader. */
export interface Line {
  /** Takes what was typed. @returns what to show for it, whether the line has ended, and what was typed behind its end */
  type(text: string): { readonly shown: string; readonly end?: LineEnd; readonly rest: string };
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
  let sequence: Sequence = 'none';
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
      let taken = 0;
      for (const character of typed) {
        taken += character.length;
        const end = endOf(character, characters.length === 0);
        if (end !== undefined) return { shown: hidden ? '' : shown, end, rest: typed.slice(taken) };
        sequence = nextSequence(sequence, character);
        if (sequence === 'none') shown += take(character);
        else if (sequence === 'end') sequence = 'none';
      }
      return { shown: hidden ? '' : shown, rest: '' };
    },
  };
}

function endOf(character: string, empty: boolean): LineEnd | undefined {
  if (character === '\r' || character === '\n') return 'entered';
  if (character === '\x03') return 'interrupted';
  return character === '\x04' && empty ? 'closed' : undefined;
}

/** Where a text is in a sequence that a key sends, such as `ESC [ 3 ~`: the arrows are no part of a name. */
type Sequence = 'none' | 'escape' | 'single' | 'control' | 'end';

function nextSequence(before: Sequence, character: string): Sequence {
  if (character === '\x1b') return 'escape';
  switch (before) {
    case 'escape':
      if (character === '[') return 'control';
      return character === 'O' ? 'single' : 'none';
    case 'single':
      return 'end';
    case 'control':
      return /[@-~]/.test(character) ? 'end' : 'control';
    default:
      return 'none';
  }
}
