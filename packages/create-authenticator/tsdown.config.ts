import { base } from '@sallyport/scripts/build-base';
import { defineConfig } from 'tsdown';

export default defineConfig({ ...base, entry: ['src/cli.ts'], dts: false });
