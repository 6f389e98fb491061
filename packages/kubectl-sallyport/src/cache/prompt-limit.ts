import { readFileSync } from 'node:fs';
import { isObject } from '../json.ts';
import { replaceFile } from '../replace-file.ts';
import { removeSession } from './session-file.ts';

/** Programs in the background, such as plugins of editors, run kubectl again and again, with no one to answer. */
const most = 3;
const window = 15 * 60_000;

/** The prompts that no one has answered. */
export interface PromptLimit {
  /** False: enough prompts were not answered recently. */
  allows(): boolean;
  /** To be called before each prompt: a process that is killed at its prompt can't note it. */
  begin(): void;
  answered(): void;
}

/** @param file beside the cached session. If it can't be written, prompts are not limited */
export function createPromptLimit(file: string, now: () => number = Date.now): PromptLimit {
  // A time in the future is that of a clock that was wrong.
  const recent = () => readTimes(file).filter((time) => time > now() - window && time <= now());
  return {
    allows: () => recent().length < most,
    begin() {
      attempt(() => replaceFile(file, `${JSON.stringify({ unanswered: [...recent(), now()] })}\n`));
    },
    answered() {
      attempt(() => removeSession(file));
    },
  };
}

function readTimes(file: string): readonly number[] {
  try {
    const content: unknown = JSON.parse(readFileSync(file, 'utf8'));
    const times: unknown = isObject(content) ? content.unanswered : undefined;
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
