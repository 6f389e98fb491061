import { bundling } from '@sallyport/scripts/build-base';

export default { ...bundling, entry: ['src/index.ts', 'src/options/index.ts'] };
