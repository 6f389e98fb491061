import { forgetSecrets } from '@sallyport/test-servers/tokens';
import { afterAll } from 'vitest';

// Files share a process. This hook is the first that a file has, so it runs last: after gateways were stopped and their output was
// searched for the secrets of the file.
afterAll(forgetSecrets);
