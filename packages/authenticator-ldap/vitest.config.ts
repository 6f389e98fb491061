import { withOwnProcesses } from '@sallyport/scripts/vitest-base';

export default withOwnProcesses(['src/late-password.test.ts']);
