import { base } from '@sallyport/scripts/build-base';

export default { ...base, entry: ['src/cli.ts'], dts: false };
