import type { Authenticator, UserInfo } from '@sallyport/authenticator';
import type { GatewayConfig } from '../../../config/types.ts';
import { corpConfig } from '../../../runtime/testing/link-parts.ts';

export type LookUp = NonNullable<Authenticator['lookUp']>;
export type Revalidate = NonNullable<Authenticator['revalidate']>;

/** What can be looked up, with the prefix where it is another than the name. Null: nothing. `broken`, `isStuck`: it can't be made, or its start hangs. */
type Backend =
  | LookUp
  | null
  | 'broken'
  | (Pick<Authenticator, 'lookUp' | 'revalidate'> & {
      readonly prefix?: string;
      readonly isStuck?: boolean;
    });

/** Makes a config of authenticators by their names, which are their prefixes too; `plain` has none. */
export function configOf(backends: Readonly<Record<string, Backend>>): GatewayConfig {
  const authenticators = Object.entries(backends).map(([name, backend]) => {
    const {
      prefix = name === 'plain' ? '' : `${name}:`,
      isStuck = false,
      ...calls
    } = callsOf(backend);
    return {
      ...corpConfig,
      ...{ name, username: { prefix }, groups: { prefix: 'g:', max: 10 } },
      problem: () => ({ file: 'f', path: '', message: 'broken' }),
      withhold: (words: string) => words,
      plugin: {
        name: 'probe',
        async create() {
          if (backend === 'broken') throw new Error('broken');
          if (isStuck) await new Promise(() => undefined);
          return { authenticate: () => ({ kind: 'no-opinion' }), close: async () => {}, ...calls };
        },
      },
    };
  });
  return {
    authenticators,
    baseDirectory: '/',
    lockout: { maxFailures: 3, window: 1 },
  } as unknown as GatewayConfig;
}

function callsOf(backend: Backend): Exclude<Backend, LookUp | null | 'broken'> {
  if (typeof backend === 'function') return { lookUp: backend };
  return backend === null || backend === 'broken' ? {} : backend;
}

export const knows: LookUp = async (username): Promise<UserInfo> => ({ username });
export const knowsNot: LookUp = async () => undefined;
export const isDown: LookUp = () => Promise.reject(new Error('down'));
export const hangs: LookUp = () => new Promise(() => undefined);
