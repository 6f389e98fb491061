import { createInterface } from 'node:readline/promises';
import { type Readable, Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import type { CommandContext } from './context.ts';
import { UsageError } from './output.ts';
import { commandLine } from './printed-commands.ts';

/**
 * Reads a token from standard input, so that it is in no process list and no shell history. A terminal does not show what
 * is typed. One newline at the end is not a part of the token.
 */
export async function readToken(context: CommandContext): Promise<string> {
  const { stdin, words } = context;
  const token = stdin.isTTY ? await askHidden(context, 'Token: ') : await readPiped(stdin);
  if (token === '') {
    throw new UsageError(
      'no token on standard input',
      `type it at a terminal, or pipe it from a file: ${commandLine({ ...context, config: undefined }, words)} < FILE`,
    );
  }
  return token;
}

async function readPiped(stdin: Readable): Promise<string> {
  let size = 0;
  const bounded = stdin.map((chunk: Buffer) => {
    size += chunk.length;
    // No `server.maxTokenSize` is greater.
    if (size > 4 * 1024 * 1024)
      throw new Error('standard input is over 4 MiB, so it is not a token');
    return chunk;
  });
  const token = (await text(bounded)).replace(/\r?\n$/, '');
  if (/^\s*token: /.test(token))
    throw new UsageError(
      'standard input begins with token:, which is a key of YAML and not part of a token',
      'pipe the value of token: alone',
    );
  if (!token.includes('\n')) return token;
  const isKubeconfig = /^(apiVersion|users):/m.test(token);
  throw new UsageError(
    `standard input has several lines${isKubeconfig ? ', as a kubeconfig' : ''}, and a token is one line`,
    isKubeconfig ? 'pipe the value of token: alone' : 'pipe the token alone',
  );
}

async function askHidden({ stdin, stderr }: CommandContext, prompt: string): Promise<string> {
  const nowhere = new Writable({ write: (_chunk, _encoding, callback) => callback() });
  const lines = createInterface({ input: stdin, output: nowhere, terminal: true });
  // Until now, the terminal showed what was typed.
  stderr.write(prompt);
  try {
    return await lines.question('');
  } finally {
    lines.close();
    stderr.write('\n');
  }
}
