import { readFileSync } from 'node:fs';
import type { IConfiguration } from 'dependency-cruiser';
import { rulesOfFolders } from './folder-order.ts';

export const architecture: URL = new URL(
  '../../docs/contributing/architecture.md',
  import.meta.url,
);

/** Finds the imports of all packages for `pnpm check`. */
const configuration: IConfiguration = {
  forbidden: rulesOfFolders(readFileSync(architecture, 'utf8')),
  options: {
    // Without this, imports of types would not count.
    tsPreCompilationDeps: true,
    includeOnly: '^(apps|packages|scripts|site|test|test-docs|test-servers)/',
    exclude: '(^|/)(node_modules|dist|test-results)/',
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'types', 'node', 'default'],
    },
  },
};

export default configuration;
