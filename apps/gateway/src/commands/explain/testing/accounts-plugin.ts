import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type Authenticator,
  AuthenticatorError,
  type AuthenticatorPlugin,
  type PluginContext,
  type UserInfo,
} from '@sallyport/authenticator';

/** The options of this plugin: a directory whose accounts are in a JSON file next to the config, read at each call. */
export interface AccountsOptions {
  /** The path of the file, relative to the config: `Accounts`. */
  readonly file: string;
  /** Whether it can look users up without their password. */
  readonly withoutLookUp?: boolean;
  /** Accepts the tokens that begin with it; the rest of the token is the name of an account. Default: it accepts none. */
  readonly tokenPrefix?: string;
  /** Whether it can't start. */
  readonly isBroken?: boolean;
}

/** The accounts by the name by which they are found; null: several have it. Null instead of all: the directory is down. */
export type Accounts = Readonly<Record<string, Account | null>> | null;

type Account = UserInfo & { readonly refused?: 'disabled' | 'locked' | 'expired' };

async function create(
  { file, withoutLookUp = false, tokenPrefix = '', isBroken = false }: AccountsOptions,
  { baseDirectory }: PluginContext,
): Promise<Authenticator> {
  if (isBroken) throw new Error('the CA is missing');
  async function load(): Promise<NonNullable<Accounts>> {
    const accounts: Accounts = JSON.parse(await readFile(join(baseDirectory, file), 'utf8'));
    if (accounts === null) throw new AuthenticatorError('unavailable', 'connect ECONNREFUSED');
    return accounts;
  }
  const lookUp: NonNullable<Authenticator['lookUp']> = async (name, { isJoin, trace }) => {
    const { [name]: account } = await load();
    if (account === null) throw new AuthenticatorError('failed', 'several entries');
    trace?.(`${isJoin ? 'join' : 'search'} (uid=${name}): ${account ? '1 entry' : 'no entry'}`);
    const { refused: _, ...user } = account ?? {};
    return account && (isJoin ? { username: account.username } : (user as UserInfo));
  };
  return {
    recognizes: (token) => tokenPrefix !== '' && token.startsWith(tokenPrefix),
    async authenticate(token) {
      const { [token.slice(tokenPrefix.length)]: user } = await load();
      return user ? { kind: 'authenticated', user } : { kind: 'no-opinion' };
    },
    async check(_signal, use) {
      await load();
      return use === undefined ? [] : [`the config uses it so: ${JSON.stringify(use)}`];
    },
    ...(!withoutLookUp && { lookUp }),
    async revalidate({ username }) {
      const account = Object.values(await load()).find((one) => one?.username === username);
      if (!account) return { kind: 'rejected', reason: 'unknown-user', subject: username };
      const { refused, ...user } = account;
      return refused === undefined
        ? { kind: 'authenticated', user }
        : { kind: 'rejected', reason: refused, subject: username };
    },
    close: async () => {},
  };
}

const jsonSchema = (): Record<string, unknown> => ({
  type: 'object',
  properties: {
    file: { type: 'string' },
    withoutLookUp: { type: 'boolean' },
    tokenPrefix: { type: 'string' },
    isBroken: { type: 'boolean' },
  },
  additionalProperties: false,
});

const plugin: AuthenticatorPlugin<AccountsOptions> = {
  specificationVersion: 1,
  name: 'accounts',
  caching: 'memory',
  optionsSchema: {
    '~standard': {
      version: 1,
      vendor: 'sallyport-test',
      validate: (value) => ({ value: value as AccountsOptions }),
      jsonSchema: { input: jsonSchema, output: jsonSchema },
    },
  },
  create,
};

/** @public The gateway finds it through gateway.yaml. */
export default plugin;
