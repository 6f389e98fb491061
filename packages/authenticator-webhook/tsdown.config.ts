import { bundling } from '@sallyport/scripts/build-base';
import { defineConfig } from 'tsdown';

export default defineConfig(bundling);
