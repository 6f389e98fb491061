import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { UsageError } from './output.ts';
import { tokenCommandLine } from './printed-commands.ts';

/**
 * Reads a token from standard input, so that it is in no process list and no shell history. A terminal does not show what
 * is typed. One newline at the end is not a part of the token.
 */
export async function readToken(): Promise<string> {
  const token = process.stdin.isTTY ? await askHidden('Token: ') : await readPiped();
  if (token === '') {
    const again = tokenCommandLine(process.argv.slice(2));
    throw new UsageError(
      'no token on standard input',
      `type it at a terminal, or pipe it from a file: ${again} < FILE`,
    );
  }
  return token;
}

async function readPiped(): Promise<string> {
  let size = 0;
  const bounded = process.stdin.map((chunk: Buffer) => {
    size += chunk.length;
    // No `server.maxTokenSize` is greater.
    if (size > 4 * 1024 * 1024)
      throw new Error('standard input is over 4 MiB, so it is not a token');
    return chunk;
  });
  return (await text(bounded)).replace(/\r?\n$/, '');
}

async function askHidden(prompt: string): Promise<string> {
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output: nowhere, terminal: true });
  // Until now, the terminal showed what was typed.
  process.stderr.write(prompt);
  try {
    return await lines.question('');
  } finally {
    lines.close();
    process.stderr.write('\n');
  }
}
