import type {
  AuthenticateContext,
  Authenticator,
  Decision,
  DeniedAttempt,
  PluginContext,
  UserInfo,
} from '@sallyport/authenticator';
import {
  ageText,
  durationText,
  type TlsSettings,
  watchTlsFiles,
  within,
} from '@sallyport/plugin-kit';
import { checkDirectory } from './check.ts';
import type { DirectoryCall, LdapDirectory } from './directory/types.ts';
import { joinWarnings } from './join-warnings.ts';
import { accountText, readReset, resetFlag } from './login/account-state.ts';
import { bindUser, createDecoys } from './login/bind-user.ts';
import {
  claimedName,
  readCredentials,
  whyNoCredentials,
  writeCredentials,
} from './login/credentials.ts';
import type { DirectoryUser, UserSearchResult } from './login/find-user.ts';
import { joinUser } from './login/join-user.ts';
import {
  createRevalidate,
  findEntry,
  lookUpDirectoryUser,
  type TracedCall,
  withGroups,
} from './login/look-up.ts';
import type { LdapOptions } from './options/types.ts';
import { createPresenceCheck } from './presence.ts';
import { createSchemaCheck } from './schema-check.ts';

/** Creates the authenticator. It asks no server before the first login. @throws Error when a TLS file can't be used */
export async function createLdapAuthenticator(
  options: LdapOptions,
  context: PluginContext,
  makeDirectory: (tls: () => TlsSettings) => LdapDirectory,
): Promise<Authenticator> {
  warnOfLateTimeout(options, context);
  let directory: LdapDirectory | undefined;
  const tls = await watchTlsFiles(options.tls, context, () => directory?.renewConnections());
  directory = makeDirectory(tls);
  const login = createLogin(options, context, directory);
  const { tokenPrefix } = options;
  const checkSchema = createSchemaCheck(options, context.logger);
  const checkPresence = createPresenceCheck(options);
  return {
    ...(tokenPrefix !== '' && { tokenPrefix }),
    recognizes: (token) => readCredentials(token, tokenPrefix) !== undefined,
    whyUnrecognized: (token) => whyNoCredentials(token, tokenPrefix),
    loginToken: (username, password) => writeCredentials({ username, password }, tokenPrefix),
    claimedName: (token) => claimedName(readCredentials(token, tokenPrefix)),
    async authenticate(token, call) {
      const { signal } = call;
      signal.throwIfAborted();
      const decision = await login(token, call);
      // An answer that comes after the caller has left is not used.
      signal.throwIfAborted();
      return decision;
    },
    revalidate: createRevalidate(directory, options, context.logger),
    lookUp: (username, call) =>
      (call.isJoin ? joinUser : lookUpDirectoryUser)(directory, options, username, call),
    knownUsers: () => [exampleUser(options)],
    check: async (signal, use) => {
      const warnings = await checkDirectory(directory, options, signal, async (search) => {
        await checkSchema(search);
        return await checkPresence(search);
      });
      return use?.isDirectory ? [...warnings, ...joinWarnings(options.user)] : warnings;
    },
    close: () => directory.close(),
  };
}

type SearchFailure = Exclude<UserSearchResult, { kind: 'found' }>;

/** A server that hangs costs a login this long, before the next one is asked. */
function warnOfLateTimeout(
  { serverTimeout, servers, srv }: LdapOptions,
  { timeout, logger }: PluginContext,
): void {
  if (timeout === undefined || serverTimeout < timeout || (servers.length < 2 && srv === undefined))
    return;
  const fields = { serverTimeout: durationText(serverTimeout), timeout: durationText(timeout) };
  const late =
    'serverTimeout is not less than timeout of the authenticator: when one server hangs, logins fail before the next one is asked';
  logger.warn(fields, `${late}. Lower serverTimeout, or raise timeout`);
}

/** Returns a user made up of all keys that the options can give: the identity policy is to accept them. */
function exampleUser({ user: { attributes } }: LdapOptions): UserInfo {
  const extra = Object.entries(attributes.extra).map(([key, attribute]) => [
    key,
    [`<${attribute}>`],
  ]);
  const { username, uid } = attributes;
  return {
    username: `<${username}>`,
    ...(uid !== undefined && { uid: `<${uid}>` }),
    extra: Object.fromEntries(extra),
  };
}

function notSent({ reason, refusedAt }: DeniedAttempt): string {
  if (reason === 'throttled')
    return 'the password was not sent: too many others of this user were refused';
  if (refusedAt === undefined) return 'the password was not sent: it was refused before';
  return `the password was not sent: it was refused ${ageText(Date.now() - refusedAt.getTime())}`;
}

/**
 * Creates the login: it finds the entry, binds as the user and reads the groups. Each step first
 * asks the server of the last step.
 */
function createLogin(
  options: LdapOptions,
  { attempts, logger }: PluginContext,
  directory: LdapDirectory,
) {
  const decoys = createDecoys(directory, options);

  async function notFound(result: SearchFailure, call: DirectoryCall): Promise<Decision> {
    if (result.kind === 'ambiguous') {
      const { entries } = result;
      logger.warn(
        { entries },
        'login refused: several entries have its name; change user.filter so that it finds one',
      );
    }
    await decoys.bind(call);
    if (result.kind === 'unusable') throw result.error;
    if (result.kind === 'ambiguous') return { kind: 'rejected', reason: 'ambiguous' };
    return options.user.unknown === 'rejected'
      ? { kind: 'rejected', reason: 'invalid-credentials' }
      : { kind: 'no-opinion' };
  }

  async function logIn(user: DirectoryUser, password: string, call: TracedCall): Promise<Decision> {
    const subject = user.username;
    const attempt = await attempts.admit(user.dn, password, call.signal, subject);
    if (!attempt.admitted) {
      call.trace?.(notSent(attempt));
      await decoys.bind(call);
      return { kind: 'rejected', reason: attempt.reason, subject };
    }
    const begun = performance.now();
    const decision = bindUser(
      directory,
      { dn: user.dn, password },
      attempt,
      call,
      async (bound): Promise<Decision> => {
        if (bound.kind === 'rejected') {
          if (bound.reason === 'invalid-credentials')
            decoys.noteRefusal(user.dn, performance.now() - begun);
          return { kind: 'rejected', reason: bound.reason, subject };
        }
        const account = readReset(user.entry);
        if (account.refusal) {
          call.trace?.(accountText(account));
          return { kind: 'rejected', reason: account.refusal.reason, subject };
        }
        const next = { ...call, prefer: bound.server, subject: user.dn };
        return { kind: 'authenticated', user: await withGroups(directory, options, user, next) };
      },
    );
    // No one waits for a bind whose caller has left.
    decision.catch(() => {});
    return within({ signal: call.signal }, () => decision);
  }

  return async (
    token: string,
    { signal, backendAnswered, trace }: AuthenticateContext,
  ): Promise<Decision> => {
    const credentials = readCredentials(token, options.tokenPrefix);
    if (credentials === undefined) return { kind: 'no-opinion' };
    const { username, password } = credentials;
    if (/[\r\n]$/.test(password))
      trace?.('the password ends with a line end, as echo writes one: use printf %s');
    const context = { signal, trace };
    const { value: result, server } = await findEntry(directory, options, { username }, context, [
      resetFlag,
    ]);
    // The directory has answered: if the rest takes long, only this login is slow.
    backendAnswered?.();
    const call = { ...context, prefer: server };
    return result.kind === 'found'
      ? await logIn(result.user, password, call)
      : await notFound(result, call);
  };
}
