import { randomBytes, type ScryptOptions, scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import type {
  AttemptOutcome,
  Authenticator,
  AuthenticatorPlugin,
  PluginContext,
} from '@sallyport/authenticator';
import { z } from 'zod';
import { credentialsOf, passwordLogin } from './password-login.ts';
import { recognizing } from './recognizing.ts';
import { userDirectory, userOf } from './user-directory.ts';

interface Options {
  readonly usersFile: string;
  readonly work: number; // The cost of a hash is 2 to the power of it. 14: some tenths of a second, and 16 MiB.
}

const record = z.strictObject({
  uid: z.string(),
  groups: z.array(z.string()),
  salt: z.string(),
  hash: z.hash('sha256'),
  disabled: z.boolean(),
  passwordChanged: z.iso.datetime(),
});
type Account = z.infer<typeof record>;

const derive = promisify<string, string, number, ScryptOptions, Buffer>(scrypt);

async function isRight(
  password: string,
  { salt, hash }: Pick<Account, 'salt' | 'hash'>,
  work: number,
) {
  const derived = await derive(password, salt, 32, { cost: 2 ** work, parallelization: 5 });
  return timingSafeEqual(derived, Buffer.from(hash, 'hex'));
}

const noOne = { salt: randomBytes(16).toString('hex'), hash: randomBytes(32).toString('hex') };

async function create(
  { usersFile, work }: Options,
  context: PluginContext,
): Promise<Authenticator> {
  let accounts: ReadonlyMap<string, Account> = new Map();
  const load = (content: Buffer) => {
    const parsed = z.record(z.string(), record).parse(JSON.parse(content.toString()));
    accounts = new Map(Object.entries(parsed));
  };
  await context.watchFile(usersFile, load, { secret: true }).catch((cause: unknown) => {
    throw new Error(`usersFile: ${usersFile} is not a JSON file of users: correct it`, { cause });
  });

  return {
    ...recognizing,
    ...passwordLogin,
    ...userDirectory((name) => accounts.get(name)),
    knownUsers: () => [...accounts].map(([name, account]) => userOf(name, account)),
    async authenticate(token, { signal, backendAnswered }) {
      signal.throwIfAborted();
      if (!recognizing.recognizes(token)) return { kind: 'no-opinion' };
      const credentials = credentialsOf(token);
      if (!credentials) return { kind: 'rejected', reason: 'invalid-credentials' };
      const { name, password } = credentials;
      const account = accounts.get(name);
      backendAnswered?.(); // The record exists or not. Only this one hash takes time now.
      if (!account) {
        await isRight(password, noOne, work); // A quick answer would show which names exist.
        signal.throwIfAborted();
        return { kind: 'rejected', reason: 'invalid-credentials' };
      }
      const attempt = await context.attempts.admit(name, password, signal);
      if (!attempt.admitted) return { kind: 'rejected', reason: attempt.reason, subject: name };
      let outcome: AttemptOutcome = 'unavailable'; // It stays so when anything is thrown.
      try {
        outcome = (await isRight(password, account, work)) ? 'accepted' : 'refused';
      } finally {
        await attempt.settle(outcome);
      }
      signal.throwIfAborted();
      if (outcome === 'refused')
        return { kind: 'rejected', reason: 'invalid-credentials', subject: name };
      if (account.disabled) return { kind: 'rejected', reason: 'disabled', subject: name };
      return { kind: 'authenticated', user: userOf(name, account) };
    },
    async close() {},
  };
}

const plugin: AuthenticatorPlugin<Options> = {
  specificationVersion: 1,
  name: 'users',
  caching: 'memory',
  optionsSchema: z.strictObject({
    usersFile: z.string().min(1),
    work: z.int().min(8).max(14).default(14),
  }),
  create,
};

export default plugin;
