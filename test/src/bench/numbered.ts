import { readFile } from 'node:fs/promises';
import type { GatewayCase } from './contender.ts';
import { numberedQuestion } from './questions.ts';

/** Makes the setup of a gateway whose answers need no backend, and are cached in memory for a day. */
export async function numberedSetup(): Promise<Pick<GatewayCase, 'config' | 'files'>> {
  // The plugin is JavaScript, as installed plugins are: removing types takes 40 MiB of the gateway's process.
  const plugin = await readFile(new URL('./numbered-plugin.js', import.meta.url), 'utf8');
  const cache = { authenticatedTtl: '24h' };
  return {
    config: { authenticators: [{ name: 'numbered', use: './numbered-plugin.js', cache }] },
    files: { 'numbered-plugin.js': plugin },
  };
}

/** A gateway with `count` users, each with a cached answer before the first turn. */
export async function cachedUsersCase(count: number): Promise<GatewayCase> {
  const questions = Array.from({ length: count }, (_, number) => numberedQuestion(number));
  return { ...(await numberedSetup()), questions, prime: Math.max(count, 1_000) };
}
