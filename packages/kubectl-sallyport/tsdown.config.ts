import { bundling } from '@sallyport/scripts/build-base';

export default {
  ...bundling,
  entry: ['src/kubectl-sallyport.js'],
  // A command has no types.
  dts: false,
  // The single executable has room for one file.
  outputOptions: { ...bundling.outputOptions, codeSplitting: false },
};
