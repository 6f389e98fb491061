import { randomUUID } from 'node:crypto';
import { AuthenticatorError } from '@sallyport/authenticator';
import { runLdapTool } from '@sallyport/test-servers/ldap-tools';
import { toLdif, toReplacements } from '@sallyport/test-servers/ldif';
import { type Slapd, startSlapd } from '@sallyport/test-servers/slapd';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import plugin from './index.ts';
import {
  type AwkwardCase,
  type AwkwardOutcome,
  awkwardEntries,
  awkwardOptions,
  awkwardSizeLimit,
} from './testing/awkward-entries.ts';
import { type PluginGateway, pluginGateway } from './testing/plugin-gateway.ts';

const { cases, entries, replacements } = awkwardEntries();

let slapd: Slapd;
beforeAll(async () => {
  slapd = await startSlapd({ sizeLimit: awkwardSizeLimit, countsOperations: false });
  await slapd.add(toLdif(entries));
  await slapd.modify(toReplacements(replacements));
});
afterAll(() => slapd?.[Symbol.asyncDispose]());

const gateways = new Map<string, Promise<PluginGateway>>();
afterAll(async () => {
  for (const made of gateways.values()) await (await made)[Symbol.asyncDispose]();
});

/** Creates one gateway for all cases with these settings, which share its connections. */
function gateway({ settings }: AwkwardCase): Promise<PluginGateway> {
  const options = awkwardOptions(settings);
  const key = JSON.stringify(options);
  const { ldapsUrl, caFile, service } = slapd;
  const common = { urls: [ldapsUrl], caFile, bind: service, serverTimeout: '30s' };
  const made = gateways.get(key) ?? pluginGateway(plugin, { ...common, ...options });
  gateways.set(key, made);
  return made;
}

/** Writes the outcome as the table has it. */
async function outcomeOf(one: AwkwardCase, password: string): Promise<AwkwardOutcome> {
  const made = await gateway(one);
  try {
    const decision = await made.logIn(one.login, password);
    if (decision.kind === 'no-opinion') return 'no-opinion';
    if (decision.kind === 'rejected') return decision.reason;
    return [decision.user.username, decision.user.groups ?? []];
  } catch (error) {
    if (!AuthenticatorError.is(error)) throw error;
    return error.code;
  }
}

describe('entries that are hard', () => {
  test.each(cases.map((one) => [one.what, one] as const))('%s', async (_what, one) => {
    expect(await outcomeOf(one, one.password)).toEqual(one.outcome);
    const wrong = await outcomeOf(one, `${one.password}${randomUUID()}`);
    const isLetIn = typeof one.outcome !== 'string';
    // An error may come before the bind, or from the search for groups after it.
    expect(isLetIn ? ['invalid-credentials'] : ['invalid-credentials', one.outcome]).toContain(
      wrong,
    );
  });
});

test('the server itself ends a search at its limit, and refers to another server', async () => {
  const service = { url: slapd.url, ...slapd.service };
  const find = (base: string, filter: string) =>
    runLdapTool('ldapsearch', service, ['-LLL', '-b', base, filter, '1.1']);
  expect(await find(slapd.suffix, '(cn=many-*)')).toMatchObject({ code: 4 });
  expect((await find(slapd.suffix, '(uid=referred)')).stdout).toContain(
    '# refldap://127.0.0.1:9/ou=referred',
  );
  expect(await find(`ou=elsewhere,${slapd.suffix}`, '(cn=*)')).toMatchObject({ code: 10 });
});
