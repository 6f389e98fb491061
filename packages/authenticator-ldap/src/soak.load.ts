import { randomBytes } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Decision, PluginContext } from '@sallyport/authenticator';
import { recordingContext } from '@sallyport/authenticator/conformance';
import { toLdif } from '@sallyport/test-servers/ldif';
import { type Slapd, startSlapd } from '@sallyport/test-servers/slapd';
import { expect, test } from 'vitest';
import { never } from './connection/testing/connecting.ts';
import plugin from './index.ts';
import { tokenOf } from './options/testing/ldap-options.ts';
import { settled } from './options/testing/written-options.ts';

const people = 50;
/** `LOGINS=100000` makes a long run. */
const logins = Number(process.env.LOGINS ?? 2_500);
/** How many logins run concurrently, as from a busy API server. */
const concurrency = 16;
/** The bytes that may stay, whatever the number of logins: some 250 KB do, after 2,000 logins as after 4,000. */
const allowedGrowth = 1024 * 1024;

setFlagsFromString('--expose-gc');
const collectGarbage: () => void = runInNewContext('gc');

test('thousands of logins leave no memory and no socket behind, and each has the right answer', async () => {
  await using slapd = await startSlapd({ countsOperations: false });
  const planned = await fillDirectory(slapd);
  const authenticator = await plugin.create(optionsOf(slapd), quietContext());
  const wrong = new Set<string>();
  const logIn = async ([token, expected]: readonly [string, string]) => {
    const context = { audiences: [], signal: never };
    const came = await Promise.resolve(authenticator.authenticate(token, context)).then(
      wordsOf,
      String,
    );
    if (came !== expected) wrong.add(`expected ${expected}, came ${came}`);
  };
  let next = 0;
  const logInUntil = async (end: number) => {
    const worker = async () => {
      while (next < end) await logIn(planned[next++ % planned.length] ?? ['', '']);
    };
    await Promise.all(Array.from({ length: concurrency }, worker));
  };
  // The first part creates what is created once: pools, compiled code, caches of Node.
  await logInUntil(logins / 5);
  const before = await heapInUse();
  await logInUntil(logins);
  const grown = (await heapInUse()) - before;
  await authenticator.close();
  console.log(`${grown} bytes more in use after ${logins} logins`);
  expect([...wrong]).toEqual([]);
  expect(grown).toBeLessThan(allowedGrowth);
  // Closed sockets are gone some turns of the event loop later.
  await expect.poll(() => sockets()).toEqual([]);
});

/**
 * Fills the directory with people in groups of groups.
 *
 * @returns tokens, and the outcome of each: a name, a refusal or no opinion
 */
async function fillDirectory({
  add,
  suffix,
}: Slapd): Promise<readonly (readonly [string, string])[]> {
  const passwords = Array.from({ length: people }, () => randomBytes(18).toString('base64url'));
  const dns = passwords.map((_, index) => `uid=user-${index},ou=people,${suffix}`);
  const users = passwords.map((userPassword, index) => ({
    dn: dns[index] ?? '',
    attributes: { objectClass: ['account', 'simpleSecurityObject'], userPassword },
  }));
  const group = (cn: string, member: readonly string[]) => ({
    dn: `cn=${cn},ou=groups,${suffix}`,
    attributes: { objectClass: ['groupOfNames'], cn, member },
  });
  const team = group('team', dns);
  await add(toLdif([...users, team, group('department', [team.dn])]));
  return passwords.flatMap((password, index) => {
    const right = [tokenOf(`user-${index}`, password), `user-${index}: department,team`] as const;
    const wrong = [tokenOf(`user-${index}`, 'a wrong password'), 'invalid-credentials'] as const;
    return [
      right,
      right,
      wrong,
      right,
      right,
      [tokenOf(`nobody-${index}`, password), 'no-opinion'] as const,
    ];
  });
}

function optionsOf({ caFile, ldapsUrl, service, suffix }: Slapd) {
  return settled({
    urls: [ldapsUrl],
    caFile,
    serverTimeout: '5s',
    bind: service,
    user: { base: `ou=people,${suffix}`, filter: '(uid={username})' },
    groups: { base: `ou=groups,${suffix}`, filter: '(member={dn})', nested: true },
  });
}

/** A context that remembers nothing of a login. */
function quietContext(): PluginContext {
  const nothing = () => {};
  return {
    ...recordingContext({ pluginName: 'ldap', baseDirectory: '/' }).context,
    logger: { debug: nothing, info: nothing, warn: nothing, error: nothing },
    metrics: {
      counter: () => ({ inc: nothing }),
      gauge: () => ({ set: nothing, inc: nothing, dec: nothing }),
      histogram: () => ({ observe: nothing }),
    },
    attempts: { admit: async () => ({ admitted: true, settle: async () => {} }) },
  };
}

function wordsOf(decision: Decision): string {
  if (decision.kind === 'rejected') return decision.reason;
  return decision.kind === 'authenticated'
    ? `${decision.user.username}: ${decision.user.groups?.join() ?? ''}`
    : decision.kind;
}

/** Measures the heap after some turns and collections, in which the rest of the last logins is freed. */
async function heapInUse(): Promise<number> {
  for (let pass = 0; pass < 10; pass += 1) {
    collectGarbage();
    await nextTurn();
  }
  return process.memoryUsage().heapUsed;
}

const sockets = () =>
  process.getActiveResourcesInfo().filter((name) => /^(TCP|TLS)(Socket)?Wrap$/.test(name));
