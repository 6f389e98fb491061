/**
 * Loads the configs that standard input lists in JSON, and prints the problems of each as a list. It is for tests of documents, which
 * import no gateway: `sallyport check` would need a process for each config, and its servers.
 */
import { text } from 'node:stream/consumers';
import { loadConfig } from '../load.ts';
import { type ConfigError, onOneLine, placed } from '../problems.ts';

/** A config to load. */
interface ListedConfig {
  readonly file: string;
  readonly environment: Readonly<Record<string, string>>;
}

async function problemsOf({ file, environment }: ListedConfig): Promise<readonly string[]> {
  try {
    await loadConfig(file, environment);
    return [];
  } catch (error) {
    const { problems } = error as Partial<ConfigError>;
    return problems?.map((problem) => onOneLine(placed(problem))) ?? [String(error)];
  }
}

const configs: readonly ListedConfig[] = JSON.parse(await text(process.stdin));
process.stdout.write(JSON.stringify(await Promise.all(configs.map(problemsOf))));
