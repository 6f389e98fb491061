import { bundling } from '@sallyport/scripts/build-base';
import { defineConfig } from 'tsdown';

export default defineConfig({ ...bundling, entry: ['src/index.ts', 'src/options/index.ts'] });
