import { bundling } from '@sallyport/scripts/build-base';
import { defineConfig } from 'tsdown';

export default defineConfig({
  ...bundling,
  entry: ['src/kubectl-sallyport.js'],
  // A command has no types.
  dts: false,
  // The single executable has room for one file.
  outputOptions: { ...bundling.outputOptions, codeSplitting: false },
});
