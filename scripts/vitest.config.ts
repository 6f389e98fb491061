import { defineConfig } from 'vitest/config';
import { base } from './src/vitest-base.ts';

export default defineConfig(base);
