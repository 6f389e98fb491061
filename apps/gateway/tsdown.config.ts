import { createRequire } from 'node:module';
import { bundling, license } from '@sallyport/scripts/build-base';
import { fewEncodings, fewMediaTypes, lazyBuiltins } from '@sallyport/scripts/build-plugins';
import { defineConfig } from 'tsdown';

const { resolve } = createRequire(import.meta.url);

export default defineConfig({
  ...bundling,
  entry: ['src/sallyport.js'],
  plugins: [
    bundling.plugins,
    lazyBuiltins(),
    fewMediaTypes(['application/json', 'application/octet-stream', 'text/html', 'text/plain']),
    fewEncodings(),
  ],
  // A command has no types.
  dts: false,
  copy: [
    ...license,
    {
      from: ['src/observe/status-page/page/*', '!**/*.ts', '!**/tsconfig.json'],
      to: 'dist/page',
      flatten: true,
    },
    {
      from: [
        '../../docs/monitoring.md',
        resolve('uplot/dist/uPlot.min.css'),
        resolve('uplot/dist/uPlot.esm.js'),
      ],
      to: 'dist/page',
      flatten: true,
    },
  ],
});
