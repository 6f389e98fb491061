import type { AuthenticatorPlugin } from '@sallyport/authenticator';
import { z } from 'zod';
import type { AuthenticatorConfig } from '../../config/types.ts';

/** The config of an authenticator that a test scripts, which has no prefix and caches nothing. */
export function configuredAuthenticator(
  name: string,
  create: AuthenticatorPlugin<unknown>['create'],
): AuthenticatorConfig {
  return {
    name,
    use: './scripted.ts',
    package: `package-of-${name}`,
    withhold: (words) => words,
    problem: (cause) => ({ file: 'gateway.yaml', path: name, message: String(cause) }),
    loginProblem: (message) => ({ file: 'gateway.yaml', path: 'login', message }),
    providerProblem: (_, path, message) => ({ file: 'gateway.yaml', path, message }),
    directoryProblem: (message) => ({ file: 'gateway.yaml', path: 'directory', message }),
    plugin: {
      specificationVersion: 1,
      name: 'scripted',
      caching: 'none',
      optionsSchema: z.unknown(),
      create,
    },
    options: {},
    timeout: 3_000,
    maxConcurrent: 100,
    maxWaiting: 0,
    circuit: { minimumCalls: 5, openFor: 5_000 },
    onError: 'continue',
    reviews: true,
    cache: 'off',
    fingerprint: name,
    username: { prefix: '' },
    groups: { prefix: '', max: 1_000 },
    allowSystemNames: [],
    allowCredentialId: false,
  };
}
