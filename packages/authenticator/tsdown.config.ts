import { buildBase } from '@sallyport/scripts/build-base';

export default { ...buildBase, entry: ['src/index.ts', 'src/conformance/index.ts'] };
