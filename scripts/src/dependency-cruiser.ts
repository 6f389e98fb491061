import { readFileSync } from 'node:fs';
import type { IConfiguration } from 'dependency-cruiser';
import { rulesOfFolders } from './folder-order.ts';

export const architecture: URL = new URL('../../docs/architecture.md', import.meta.url);

/** How `pnpm check` looks at the imports of all packages. */
const configuration: IConfiguration = {
  forbidden: rulesOfFolders(readFileSync(architecture, 'utf8')),
  options: {
    // Else imports of types would not count.
    tsPreCompilationDeps: true,
    includeOnly: '^(apps|packages|scripts|test|test-servers)/',
    exclude: '(^|/)(node_modules|dist|test-results)/',
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'types', 'node', 'default'] },
  },
};

export default configuration;
