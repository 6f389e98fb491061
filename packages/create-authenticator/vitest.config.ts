import { base } from '@sallyport/scripts/vitest-base';
import { defineConfig } from 'vitest/config';

export default defineConfig(base);
