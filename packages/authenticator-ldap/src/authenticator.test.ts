import { randomUUID } from 'node:crypto';
import {
  type Authenticator,
  AuthenticatorError,
  type Decision,
  type PluginContext,
} from '@sallyport/authenticator';
import {
  type RecordingContextOptions,
  recordingContext,
} from '@sallyport/authenticator/conformance';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { createLdapAuthenticator } from './authenticator.ts';
import {
  entry,
  type MemoryDirectory,
  type MemoryDirectoryOptions,
  memoryDirectory,
} from './directory/testing/memory-directory.ts';
import { parseDnTemplate } from './filter/templates.ts';
import {
  groupsBase,
  ldapOptions,
  peopleBase,
  searchedGroups,
  tokenOf,
  userOptions,
} from './options/testing/ldap-options.ts';
import type { LdapOptions } from './options/types.ts';

const password = randomUUID();
const aliceDn = `uid=alice,${peopleBase}`;
const alice = entry(aliceDn, { uid: ['Alice'], entryUUID: ['7'], departmentNumber: ['4'] });
const twins = ['a', 'b'].map((unit) =>
  entry(`uid=twin,ou=${unit},${peopleBase}`, { uid: ['twin'] }),
);
const admins = entry(`cn=admins,${groupsBase}`, { cn: ['admins'], member: [aliceDn] });

/** Finds the entry by the typed spelling, as real servers do. */
const onSearch: NonNullable<MemoryDirectoryOptions['onSearch']> = ({ filter, base }) =>
  base === peopleBase && filter.kind === 'equality' && /^alice$/i.test(filter.value.toString())
    ? { entries: [alice] }
    : undefined;

interface Setup {
  readonly options?: Partial<LdapOptions>;
  readonly script?: MemoryDirectoryOptions;
  readonly deny?: RecordingContextOptions['deny'];
  readonly attempts?: PluginContext['attempts'];
  readonly timeout?: number;
}

interface Gateway extends ReturnType<typeof recordingContext> {
  readonly authenticator: Authenticator;
  readonly directory: MemoryDirectory;
  logIn(username: string, secret?: string, signal?: AbortSignal): Promise<Decision>;
}

const attributes = { username: 'uid', uid: 'entryUUID', extra: { department: 'departmentNumber' } };
const never = new AbortController().signal;

async function gateway({ options, script, deny, attempts, timeout }: Setup = {}): Promise<Gateway> {
  const recording = recordingContext({
    pluginName: 'ldap',
    baseDirectory: '/',
    ...(deny && { deny }),
  });
  const passwords = new Map([[aliceDn, password]]);
  const directory = memoryDirectory({
    entries: [...twins, admins],
    passwords,
    onSearch,
    ...script,
  });
  const whole = ldapOptions({
    user: userOptions({ attributes }),
    groups: searchedGroups(),
    ...options,
  });
  const context = {
    ...recording.context,
    ...(attempts && { attempts }),
    ...(timeout && { timeout }),
  };
  const authenticator = await createLdapAuthenticator(whole, context, () => directory);
  return {
    ...recording,
    authenticator,
    directory,
    logIn: async (username, secret = password, signal = never) =>
      authenticator.authenticate(tokenOf(username, secret), { audiences: [], signal }),
  };
}

test('check learns the keys of extra that a user can have, and whether they get a uid', async () => {
  const { authenticator } = await gateway();
  expect([...(authenticator.knownUsers?.() ?? [])]).toEqual([
    { username: '<uid>', uid: '<entryUUID>', extra: { department: ['<departmentNumber>'] } },
  ]);
  const { authenticator: without } = await gateway({ options: { user: userOptions() } });
  expect([...(without.knownUsers?.() ?? [])]).toEqual([{ username: '<uid>', extra: {} }]);
});

test('a serverTimeout that leaves the next server no time is warned of', async () => {
  const [server] = ldapOptions().servers;
  const servers = server ? [server, server] : [];
  const found = async (setup: Setup) =>
    (await gateway(setup)).lines.map(({ level, fields }) => ({ level, fields }));
  const warning = { level: 'warn', fields: { serverTimeout: '3s', timeout: '3s' } };
  const options = { servers, serverTimeout: 3_000 };
  const srv = {
    domain: 'example.com',
    security: 'ldaps',
    interval: 60_000,
  } as unknown as NonNullable<LdapOptions['srv']>;
  expect(await found({ options, timeout: 3_000 })).toEqual([warning]);
  expect(
    await found({ options: { srv, servers: [], serverTimeout: 3_000 }, timeout: 3_000 }),
  ).toEqual([warning]);
  for (const setup of [
    { options, timeout: 3_001 },
    { options: { serverTimeout: 3_000 }, timeout: 3_000 },
    { options },
  ]) {
    expect(await found(setup)).toEqual([]);
  }
});

test('explain learns of a line end in the password, and of a token that is not encoded', async () => {
  const { authenticator } = await gateway();
  const stepsOf = async (typed: string) => {
    const steps: string[] = [];
    const context = {
      audiences: [],
      signal: never,
      trace: (step: string) => void steps.push(step),
    };
    await authenticator.authenticate(tokenOf('alice', typed), context);
    return steps.filter((step) => step.includes('line end'));
  };
  for (const end of ['\n', '\r\n']) {
    expect(await stepsOf(password + end)).toEqual([
      'the password ends with a line end, as echo writes one: use printf %s',
    ]);
  }
  expect(await stepsOf(password)).toEqual([]);
  expect(authenticator.whyUnrecognized?.(`alice:${password}`)).toMatch(/^has a colon, /);
});

describe('a login', () => {
  test('gives the user as the directory knows it, whatever was typed', async () => {
    const { logIn, attempts, directory } = await gateway();
    expect(await logIn('ALICE')).toEqual({
      kind: 'authenticated',
      user: { username: 'Alice', uid: '7', groups: ['admins'], extra: { department: ['4'] } },
    });
    expect(attempts).toEqual([{ subject: aliceDn, admitted: true, outcome: 'accepted' }]);
    expect(directory.binds).toEqual([{ dn: aliceDn, password }]);
  });

  test('has no groups when none are looked for', async () => {
    const recording = recordingContext({ pluginName: 'ldap', baseDirectory: '/' });
    const directory = memoryDirectory({ passwords: new Map([[aliceDn, password]]), onSearch });
    const authenticator = await createLdapAuthenticator(
      ldapOptions(),
      recording.context,
      () => directory,
    );
    const decision = await authenticator.authenticate(tokenOf('alice', password), {
      audiences: [],
      signal: never,
    });
    expect(decision).toEqual({ kind: 'authenticated', user: { username: 'Alice' } });
    expect(directory.visits).toBe(1);
  });

  test('asks in each step the server of the step before first', async () => {
    const { logIn, directory } = await gateway();
    await logIn('alice');
    expect(directory.preferred).toEqual([undefined, 'memory-1', 'memory-2']);
  });

  test('with a wrong password is refused, by the name that the directory has, and no groups are looked for', async () => {
    const { logIn, attempts, directory } = await gateway();
    const refusal = { kind: 'rejected', reason: 'invalid-credentials', subject: 'Alice' };
    expect(await logIn('aLiCe', `${password}x`)).toEqual(refusal);
    expect(attempts).toMatchObject([{ outcome: 'refused' }]);
    expect(directory.visits).toBe(1);
  });

  test('with a right password of an account that is closed is refused with the reason', async () => {
    const diagnosticMessage = 'comment: AcceptSecurityContext error, data 533, v3839';
    const { logIn, attempts } = await gateway({
      script: { onBind: () => ({ code: 49, diagnosticMessage }) },
    });
    expect(await logIn('alice')).toEqual({
      kind: 'rejected',
      reason: 'disabled',
      subject: 'Alice',
    });
    expect(attempts).toMatchObject([{ outcome: 'accepted' }]);
  });

  test('is recognized by its shape', async () => {
    const { authenticator, directory } = await gateway({ options: { tokenPrefix: 'ldap:' } });
    const token = tokenOf('alice', password);
    expect(authenticator.recognizes?.(`ldap:${token}`)).toBe(true);
    for (const foreign of [
      token,
      'ldap:',
      `ldap:${tokenOf('alice', '')}`,
      `ldap:${tokenOf('', password)}`,
    ]) {
      expect(authenticator.recognizes?.(foreign)).toBe(false);
      const context = { audiences: [], signal: never };
      expect(await authenticator.authenticate(foreign, context)).toEqual({ kind: 'no-opinion' });
    }
    expect(directory.preferred).toEqual([]);
  });

  test('says which name it carries, as it was typed, and nothing of the password', async () => {
    const { authenticator, directory } = await gateway({ options: { tokenPrefix: 'ldap:' } });
    const token = tokenOf('ALICE@example.com', `${password}:more`);
    expect(authenticator.claimedName?.(`ldap:${token}`)).toBe('alice@example.com');
    expect(authenticator.claimedName?.(token)).toBeUndefined();
    expect(directory.preferred).toEqual([]);
  });
});

describe('a name that gets no bind of its own costs a decoy', () => {
  const decoyed = async (setup: Setup, username: string) => {
    const { logIn, directory, attempts, lines } = await gateway(setup);
    const decision = await logIn(username);
    expect(directory.visits).toBe(1);
    expect(directory.binds).toHaveLength(1);
    const [bind] = directory.binds;
    expect(bind?.dn).toMatch(new RegExp(`^(cn|uid)=[0-9a-f]{32},${peopleBase}$`));
    expect(bind?.password).not.toContain(password);
    expect(directory.preferred).toEqual([undefined, 'memory-1']);
    return { decision, attempts, lines, bind };
  };

  test('an unknown one', async () => {
    const one = await decoyed({}, 'nobody');
    expect(one).toMatchObject({ decision: { kind: 'no-opinion' }, attempts: [], lines: [] });
    const other = await decoyed(
      { options: { user: userOptions({ unknown: 'rejected' }) } },
      'nobody',
    );
    expect(other).toMatchObject({
      decision: { kind: 'rejected', reason: 'invalid-credentials' },
      attempts: [],
    });
    expect(other.decision).not.toHaveProperty('subject');
    expect(other.bind?.dn).not.toBe(one.bind?.dn);
    expect(other.bind?.password).not.toBe(one.bind?.password);
  });

  test('an unknown one of a DN template', async () => {
    const find = { by: 'dn', template: parseDnTemplate(`uid={username},${peopleBase}`) } as const;
    const { decision, bind } = await decoyed(
      { options: { user: userOptions({ find }) } },
      'nobody',
    );
    expect(decision).toEqual({ kind: 'no-opinion' });
    expect(bind?.dn).toMatch(/^uid=/);
  });

  test('one of two entries, which are logged', async () => {
    const { decision, attempts, lines } = await decoyed({}, 'twin');
    expect(decision).toEqual({ kind: 'rejected', reason: 'ambiguous' });
    expect(attempts).toEqual([]);
    expect(lines).toMatchObject([
      { level: 'warn', fields: { entries: twins.map(({ dn }) => dn) } },
    ]);
  });

  test.each(['throttled', 'invalid-credentials'] as const)(
    'one whose password must not be sent now: %s',
    async (deny) => {
      const { decision } = await decoyed({ deny }, 'alice');
      expect(decision).toEqual({ kind: 'rejected', reason: deny, subject: 'Alice' });
    },
  );

  test("one whose entry can't be used, before that is reported", async () => {
    const two = entry(aliceDn, { uid: ['alice', 'al'] });
    const { logIn, directory, attempts } = await gateway({
      script: { onSearch: () => ({ entries: [two] }) },
    });
    await expect(logIn('alice')).rejects.toMatchObject({
      code: 'failed',
      message: expect.stringContaining('2 values'),
    });
    expect(directory.binds).toEqual([
      { dn: expect.stringMatching(/^cn=[0-9a-f]{32},/), password: expect.any(String) },
    ]);
    expect(attempts).toEqual([]);
  });

  test('even if the server accepts the decoy, no one is let in', async () => {
    const script = { onBind: () => ({ code: 0 }) };
    expect((await decoyed({ script }, 'nobody')).decision).toEqual({ kind: 'no-opinion' });
    expect((await decoyed({ script, deny: 'throttled' }, 'alice')).decision).toMatchObject({
      kind: 'rejected',
    });
  });
});

describe('a server that hashes passwords slowly, for names that it has', () => {
  /** Makes the check of each password of a user take a second. */
  async function slowly(serverTimeout = 5000): Promise<Gateway> {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    const made = await gateway({ options: { serverTimeout } });
    const { bindUser } = made.directory;
    Object.assign(made.directory, {
      bindUser: async (...all: Parameters<typeof bindUser>) => {
        if (all[0].dn === aliceDn) await new Promise((resolve) => setTimeout(resolve, 1000));
        return await bindUser(...all);
      },
    });
    return made;
  }

  /** Returns the decision of a login that is known after a number of milliseconds. */
  async function decisionAfter(
    milliseconds: number,
    login: Promise<Decision>,
  ): Promise<Decision | undefined> {
    let decision: Decision | undefined;
    void login.then((made) => {
      decision = made;
    });
    await vi.advanceTimersByTimeAsync(milliseconds);
    return decision;
  }

  test('does not show by its time which names those are', async () => {
    const { logIn } = await slowly();
    expect(await decisionAfter(1000, logIn('alice', `${password}x`))).toMatchObject({
      reason: 'invalid-credentials',
    });
    const unknown = logIn('nobody');
    expect(await decisionAfter(999, unknown)).toBeUndefined();
    expect(await decisionAfter(1, unknown)).toEqual({ kind: 'no-opinion' });
  });

  test('lets no caller wait who has gone', async () => {
    const { logIn } = await slowly();
    await decisionAfter(1000, logIn('alice', `${password}x`));
    const controller = new AbortController();
    const reason = new Error('the caller has gone');
    const login = logIn('nobody', password, controller.signal);
    const gone = expect(login).rejects.toBe(reason);
    await vi.advanceTimersByTimeAsync(10);
    controller.abort(reason);
    await gone;
    expect(vi.getTimerCount()).toBe(0);
  });

  test('holds no login back for longer than serverTimeout, so that the next authenticator gets its turn', async () => {
    const { logIn } = await slowly(300);
    await decisionAfter(1000, logIn('alice', `${password}x`));
    const unknown = logIn('nobody');
    expect(await decisionAfter(299, unknown)).toBeUndefined();
    expect(await decisionAfter(1, unknown)).toEqual({ kind: 'no-opinion' });
  });

  test('is measured by wrong passwords alone', async () => {
    const { logIn } = await slowly();
    expect(await decisionAfter(1000, logIn('alice'))).toMatchObject({ kind: 'authenticated' });
    expect(await decisionAfter(0, logIn('nobody'))).toEqual({ kind: 'no-opinion' });
  });
});

describe('an attempt is settled once', () => {
  const counting = () => {
    const outcomes: string[] = [];
    const admit: PluginContext['attempts']['admit'] = async () => ({
      admitted: true,
      settle: async (outcome) => void outcomes.push(outcome),
    });
    return { outcomes, attempts: { admit } };
  };

  test('as unavailable when no server answers the bind', async () => {
    const { outcomes, attempts } = counting();
    const outage = new AuthenticatorError('unavailable', 'no server answers');
    const { logIn } = await gateway({ attempts, script: { onBind: () => Promise.reject(outage) } });
    await expect(logIn('alice')).rejects.toBe(outage);
    expect(outcomes).toEqual(['unavailable']);
  });

  test.each([
    { code: 8, error: 'unavailable' },
    { code: 80, error: 'failed' },
  ])(
    'as unavailable when the server neither accepts nor refuses: $code is $error',
    async ({ code, error }) => {
      const { outcomes, attempts } = counting();
      const { logIn } = await gateway({ attempts, script: { onBind: () => ({ code }) } });
      await expect(logIn('alice')).rejects.toMatchObject({ code: error });
      expect(outcomes).toEqual(['unavailable']);
    },
  );

  test("as accepted when the password was right and the groups can't be read", async () => {
    const { outcomes, attempts } = counting();
    const script: MemoryDirectoryOptions = {
      onSearch: (request) => (request.base === groupsBase ? { code: 11 } : onSearch(request)),
    };
    const { logIn } = await gateway({ attempts, script });
    await expect(logIn('alice')).rejects.toMatchObject({ code: 'failed' });
    expect(outcomes).toEqual(['accepted']);
  });

  test('as unavailable, and nothing is sent, when the caller has gone while it waited for its turn', async () => {
    const { outcomes, attempts } = counting();
    const controller = new AbortController();
    const gone = new Error('the caller has gone');
    const admit: PluginContext['attempts']['admit'] = async (...all) => {
      controller.abort(gone);
      return await attempts.admit(...all);
    };
    const { logIn, directory } = await gateway({ attempts: { admit } });
    await expect(logIn('alice', password, controller.signal)).rejects.toBe(gone);
    expect(outcomes).toEqual(['unavailable']);
    expect(directory.preferred).toEqual([undefined]);
  });

  test.each([
    { outcome: 'refused', secret: `${password}x` },
    { outcome: 'accepted', secret: password },
  ])(
    'as $outcome when the server says so after the caller has gone, and no one gets the answer',
    async ({ outcome, secret }) => {
      const settled = Promise.withResolvers<string>();
      const settle = async (outcome: string) => settled.resolve(outcome);
      const { logIn, directory } = await gateway({
        attempts: { admit: async () => ({ admitted: true, settle }) },
      });
      const { bindUser } = directory;
      const answer = Promise.withResolvers<void>();
      const sent = Promise.withResolvers<void>();
      const signals: AbortSignal[] = [];
      Object.assign(directory, {
        bindUser: async (...all: Parameters<typeof bindUser>) => {
          signals.push(all[1].signal);
          sent.resolve();
          await answer.promise;
          return await bindUser(...all);
        },
      });
      const controller = new AbortController();
      const reason = new Error('the caller has gone');
      const login = logIn('alice', secret, controller.signal);
      await sent.promise;
      controller.abort(reason);
      await expect(login).rejects.toBe(reason);
      answer.resolve();
      expect(await settled.promise).toBe(outcome);
      expect(signals.map(({ aborted }) => aborted)).toEqual([false]);
      // The login looks for no groups.
      expect(directory.visits).toBe(1);
    },
  );

  test('and its end is waited for no longer than the caller is there: the guard has the signal', async () => {
    const signals: unknown[] = [];
    const { attempts } = counting();
    const admit: PluginContext['attempts']['admit'] = (subject, secret, signal) => {
      signals.push(signal);
      return attempts.admit(subject, secret);
    };
    const { logIn } = await gateway({ attempts: { admit } });
    await logIn('alice');
    expect(signals).toEqual([never]);
  });
});

describe('a caller that has gone', () => {
  test('gets no answer, and nothing is asked', async () => {
    const { logIn, directory } = await gateway();
    const reason = new Error('the caller has gone');
    await expect(logIn('alice', password, AbortSignal.abort(reason))).rejects.toBe(reason);
    expect(directory.preferred).toEqual([]);
  });

  test.each(['alice', 'nobody'])('in the middle gets none either: %s', async (username) => {
    const controller = new AbortController();
    const reason = new Error('the caller has gone');
    const onBind = () => {
      controller.abort(reason);
      return undefined;
    };
    const { logIn } = await gateway({ script: { onBind } });
    await expect(logIn(username, password, controller.signal)).rejects.toBe(reason);
  });
});

test('close() closes the directory, and check() asks it', async () => {
  const { authenticator, directory } = await gateway();
  await expect(authenticator.check?.(never)).rejects.toThrow('user.base');
  await authenticator.close();
  expect(directory.isClosed).toBe(true);
});

describe('the gateway hears that the backend has answered', () => {
  test('once the user was searched for, found or not: what comes then is a matter of this login', async () => {
    for (const username of ['alice', 'nobody']) {
      const heard: string[] = [];
      const { authenticator } = await gateway({
        script: {
          onSearch: (request) => {
            heard.push('search');
            return onSearch(request);
          },
        },
      });
      const backendAnswered = () => heard.push('answered');
      await authenticator.authenticate(tokenOf(username, password), {
        audiences: [],
        signal: never,
        backendAnswered,
      });
      expect(heard.slice(0, 2)).toEqual(['search', 'answered']);
    }
  });

  test('not while no search is answered', async () => {
    const { authenticator } = await gateway({
      script: {
        onSearch: () => {
          throw new AuthenticatorError('unavailable', 'down');
        },
      },
    });
    const backendAnswered = vi.fn();
    const login = authenticator.authenticate(tokenOf('alice', password), {
      audiences: [],
      signal: never,
      backendAnswered,
    });
    await expect(login).rejects.toMatchObject({ code: 'unavailable' });
    expect(backendAnswered).not.toHaveBeenCalled();
  });
});
