import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The shipped config: static tokens with a demo token made by the first start. */
const embedded = fileURLToPath(new URL('../../gateway.yaml', import.meta.url));

export interface ConfigFile {
  /** Absolute. */
  readonly file: string;
  /** True when no other was named. */
  readonly isEmbedded: boolean;
}

/** Where the user stands: pnpm runs scripts in the package's folder and tells the user's own in INIT_CWD. */
function fromUser(path: string): string {
  return resolve(process.env.INIT_CWD ?? process.cwd(), path);
}

/** The config of `--config` or SALLYPORT_CONFIG (commander has looked at both), else the shipped one. */
export function configFile(named: string | undefined): ConfigFile {
  return named === undefined || named === ''
    ? { file: embedded, isEmbedded: true }
    : { file: fromUser(named), isEmbedded: false };
}
