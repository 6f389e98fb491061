import { readFileSync } from 'node:fs';
import { isObject } from '../json.ts';
import { replaceFile } from '../replace-file.ts';
import { removeSession } from './session-file.ts';

/** Programs in the background, such as plugins of editors, run kubectl again and again, with no one to answer. */
const most = 3;
const window = 15 * 60_000;

/** The prompts that led to no login: no one answered, or the password was wrong. kubectl runs the plugin up to five times. */
export interface PromptLimit {
  /** False: enough prompts were in vain recently. */
  allows(): boolean;
  /** To be called before each prompt: a process that is killed at its prompt can't note it. */
  begin(): void;
  succeeded(): void;
}

/** @param file beside the cached session. If it can't be written, prompts are not limited */
export function createPromptLimit(file: string, now: () => number = Date.now): PromptLimit {
  // A time in the future is that of a clock that was wrong.
  const recent = () => readTimes(file).filter((time) => time > now() - window && time <= now());
  return {
    allows: () => recent().length < most,
    begin() {
      attempt(() => replaceFile(file, `${JSON.stringify({ inVain: [...recent(), now()] })}\n`));
    },
    succeeded() {
      attempt(() => removeSession(file));
    },
  };
}

function readTimes(file: string): readonly number[] {
  try {
    const content: unknown = JSON.parse(readFileSync(file, 'utf8'));
    const times: unknown = isObject(content) ? content.inVain : undefined;
    return Array.isArray(times) ? times.filter((time) => typeof time === 'number').slice(-most) : [];
  } catch {
    return [];
  }
}

function attempt(write: () => void): void {
  try {
    write();
  } catch {
    // That nothing can be cached is reported where a session is cached.
  }
}
