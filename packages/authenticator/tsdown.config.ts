import { base } from '@sallyport/scripts/build-base';

export default { ...base, entry: ['src/index.ts', 'src/conformance/index.ts'] };
