import { readFile } from 'node:fs/promises';
import { reviewBody } from '../testing/token-review.ts';
import type { Question } from './client.ts';
import type { GatewayCase } from './contender.ts';

/** As long as a token of the Redis plugin. */
const padding = 'x'.repeat(40);

export function numberedQuestion(number: number): Question {
  return { body: reviewBody(`number-${number}-${padding}`), username: `user-${number}` };
}

/** A gateway whose answers need no backend, and are cached in memory for a day. */
export async function numberedSetup(): Promise<Pick<GatewayCase, 'config' | 'files'>> {
  const use = './numbered-plugin.ts';
  return {
    config: { authenticators: [{ name: 'numbered', use, cache: { authenticatedTtl: '24h' } }] },
    files: { 'numbered-plugin.ts': await readFile(new URL(use, import.meta.url), 'utf8') },
  };
}

/** So many users, each with a cached answer before the first turn. */
export async function cachedUsersCase(count: number): Promise<GatewayCase> {
  const questions = Array.from({ length: count }, (_, number) => numberedQuestion(number));
  return { ...(await numberedSetup()), questions, prime: Math.max(count, 1_000) };
}
