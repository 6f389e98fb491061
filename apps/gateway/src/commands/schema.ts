import { configJsonSchema } from '../config/json-schema.ts';
import { loadConfig } from '../config/load.ts';
import { builtInPlugins } from '../config/plugins.ts';
import { configFile } from './config-file.ts';
import { type ExitCode, exitCodes } from './exit-codes.ts';
import { printJson } from './output.ts';

export interface SchemaOptions {
  readonly config?: string;
}

/** Prints the JSON Schema that editors complete gateway.yaml with. */
export async function schema(options: SchemaOptions): Promise<ExitCode> {
  const { file, isShipped } = configFile(options.config);
  const used = isShipped ? [] : (await loadConfig(file, process.env)).authenticators;
  printJson(configJsonSchema([...(await builtInPlugins()), ...used]));
  return exitCodes.success;
}
