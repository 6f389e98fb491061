import { buildBase } from '@sallyport/scripts/build-base';

export default { ...buildBase, entry: ['src/cli.ts'], dts: false };
