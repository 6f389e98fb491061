import { forgetSecrets } from '@sallyport/test-servers/tokens';
import { afterAll } from 'vitest';

// Files share a process. This hook is the first that a file has, so it runs last: after the output was searched for its secrets.
afterAll(forgetSecrets);
