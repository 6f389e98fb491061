import { createReadStream } from 'node:fs';
import { userPath } from '../config-file.ts';
import { type ExitCode, exitCodes } from '../exit-codes.ts';
import { createProgress, type OutputFormat, printJson } from '../output.ts';
import { createTrailCheck, type TrailReport } from './trail-check.ts';
import { trailLines } from './trail-lines.ts';
import { printVerification } from './verification-report.ts';

export interface VerifyOptions {
  readonly output: OutputFormat;
}

/** Says whether a trail is whole: what is missing, what is there twice, what can't be read. */
export async function verify(files: readonly string[], options: VerifyOptions): Promise<ExitCode> {
  const report = await check(files);
  if (options.output === 'json') printJson(report);
  else printVerification(report);
  return report.isWhole ? exitCodes.success : exitCodes.failure;
}

async function check(files: readonly string[]): Promise<TrailReport> {
  const trail = createTrailCheck();
  using progress = createProgress('lines');
  for (const file of files) {
    const content: AsyncIterable<Buffer> = file === '-' ? process.stdin : contentOf(userPath(file));
    for await (const line of trailLines(file === '-' ? 'standard input' : file, content)) {
      trail.add(line);
      progress.count();
    }
  }
  return trail.report;
}

/** @throws Error naming the file, why it can't be read and what to do */
async function* contentOf(file: string): AsyncGenerator<Buffer> {
  try {
    yield* createReadStream(file);
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    throw new Error(`${file}: cannot be read: ${reasons[code] ?? code}`, { cause: error });
  }
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file: correct its name',
  ENOTDIR: 'a part of its path is a file and no folder: correct the path',
  EISDIR: 'it is a folder: name the files in it, the oldest first',
  EACCES: 'permission denied: run this as a user who may read it',
};
