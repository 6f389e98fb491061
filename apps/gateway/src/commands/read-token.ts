import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
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
  const token = stdin.isTTY ? await askHidden(context, 'Token: ') : await readPiped(context);
  if (token === '') {
    throw new UsageError(
      'no token on standard input',
      `type it at a terminal, or pipe it from a file: ${commandLine({ ...context, config: undefined }, words)} < FILE`,
    );
  }
  return token;
}

const wrappings: readonly (readonly [pattern: RegExp, problem: string, fix: string])[] = [
  [
    /^(?:authorization: *)?bearer /i,
    'begins with Bearer or Authorization, a word of the header',
    'leave it out',
  ],
  [/^["']/, 'begins with a quote, which is not part of it', 'leave it out'],
  [/^(\{|\w+=eyJ)/, 'is in a JSON object or a form', 'pipe its value alone'],
];

/** Finds what is around a token, which is then not the token itself. Undefined: nothing that is known. */
export function findWrapping(token: string): { problem: string; fix: string } | undefined {
  const [, problem, fix] = wrappings.find(([pattern]) => pattern.test(token)) ?? [];
  return problem === undefined || fix === undefined ? undefined : { problem, fix };
}

async function readPiped(context: CommandContext): Promise<string> {
  const { stdin, words } = context;
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
  const fix =
    isKubeconfig && token.includes('kubectl-sallyport')
      ? `run: kubectl sallyport token | jq -r .status.token | ${commandLine({ ...context, config: undefined }, words)}`
      : isKubeconfig
        ? 'pipe the value of token: alone'
        : 'pipe the token alone';
  throw new UsageError(
    `standard input has several lines${isKubeconfig ? ', as a kubeconfig' : ''}, and a token is one line`,
    fix,
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
