import { createReadStream } from 'node:fs';
import { userPath } from '../config-file.ts';
import { type ExitCode, exitCodes } from '../exit-codes.ts';
import { type OutputFormat, printJson } from '../output.ts';
import { createProgress } from '../token/progress.ts';
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
  return report.isWhole ? exitCodes.success : exitCodes.fault;
}

async function check(files: readonly string[]): Promise<TrailReport> {
  const trail = createTrailCheck();
  using progress = createProgress('lines');
  for (const file of files) {
    const content: AsyncIterable<Buffer> = file === '-' ? process.stdin : createReadStream(userPath(file));
    for await (const line of trailLines(file === '-' ? 'standard input' : file, content)) {
      trail.add(line);
      progress.count();
    }
  }
  return trail.report;
}
