import { randomUUID } from 'node:crypto';
import { AuthenticatorError } from '@sallyport/authenticator';
import { runLdapTool, tryBind } from '@sallyport/test-servers/ldap-tools';
import { type Slapd, startSlapd } from '@sallyport/test-servers/slapd';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import plugin from './index.ts';
import type { AwkwardCase, AwkwardOutcome, AwkwardSettings } from './testing/awkward-case.ts';
import { awkwardEntries, awkwardOptions } from './testing/awkward-entries.ts';
import { awkwardSizeLimit } from './testing/awkward-groups.ts';
import { type PluginGateway, pluginGateway } from './testing/plugin-gateway.ts';

const { cases, fill } = awkwardEntries();

let slapd: Slapd;
beforeAll(async () => {
  slapd = await startSlapd({ sizeLimit: awkwardSizeLimit, countsOperations: false });
  await fill(slapd);
});
afterAll(() => slapd?.[Symbol.asyncDispose]());

const gateways = new Map<string, Promise<PluginGateway>>();
afterAll(async () => {
  for (const made of gateways.values()) await (await made)[Symbol.asyncDispose]();
});

/** One for all cases with these settings. They share its connections. */
function gateway(settings: AwkwardSettings): Promise<PluginGateway> {
  const options = awkwardOptions(settings);
  const key = JSON.stringify(options);
  const { ldapsUrl, caFile, service } = slapd;
  const common = { urls: [ldapsUrl], caFile, bind: service, serverTimeout: '30s' };
  const made = gateways.get(key) ?? pluginGateway(plugin, { ...common, ...options });
  gateways.set(key, made);
  return made;
}

/** As the table writes it. */
async function outcomeOf({ settings, login }: AwkwardCase, password: string): Promise<AwkwardOutcome> {
  const made = await gateway(settings);
  try {
    const decision = await made.logIn(login, password);
    if (decision.kind === 'no-opinion') return decision;
    if (decision.kind === 'rejected') return { kind: 'rejected', reason: decision.reason };
    const { username, groups = [], extra } = decision.user;
    return { kind: 'authenticated', username, groups, ...(extra?.email && { email: extra.email }) };
  } catch (error) {
    if (!AuthenticatorError.is(error)) throw error;
    return { kind: 'error', code: error.code };
  }
}

/** What may come of the same login with a wrong password. */
function asRefusals(outcome: AwkwardOutcome): readonly AwkwardOutcome[] {
  const refusal: AwkwardOutcome = { kind: 'rejected', reason: 'invalid-credentials' };
  if (outcome.kind === 'error') return [outcome, refusal];
  if (outcome.kind === 'no-opinion') return [outcome];
  const keeps = outcome.kind === 'rejected' && ['locked', 'ambiguous'].includes(outcome.reason);
  return [keeps ? outcome : refusal];
}

test('there are at least 60 entries, each case with a name of its own', () => {
  expect(new Set(cases.map(({ login }) => login)).size).toBeGreaterThanOrEqual(60);
  expect(new Set(cases.map(({ what }) => what)).size).toBe(cases.length);
});

describe('entries that are hard', () => {
  test.each(cases.map((one) => [one.what, one] as const))('%s', async (_what, one) => {
    // Lists are compared as a whole; the table has the email where the case is about it.
    expect(await outcomeOf(one, one.password)).toMatchObject(one.outcome);
    const wrong = await outcomeOf(one, `${one.password}${randomUUID()}`);
    expect(asRefusals(one.outcome)).toContainEqual(wrong);
  });
});

describe('the server itself', () => {
  const service = () => ({ url: slapd.url, ...slapd.service });

  async function find(filter: string): Promise<string> {
    const base = ['-LLL', '-o', 'ldif-wrap=no', '-b', slapd.suffix, filter, 'memberOf'];
    return (await runLdapTool('ldapsearch', service(), base)).stdout;
  }

  test('has a DN that is another one when unescaped, and the two stay apart', async () => {
    const [one, other] = ['twin-0-a', 'twin-0-b'];
    expect(await find(`(uid=${one})`)).toMatch(/^dn: cn=al\\5C69ce,ou=people.*\nmemberOf: cn=of-twin-0-a,ou=groups/);
    expect(await find(`(uid=${other})`)).toMatch(/^dn: cn=alice,ou=people.*\nmemberOf: cn=of-twin-0-b,ou=groups/);
    const password = cases.find(({ login }) => login === one)?.password ?? '';
    const bind = (cn: string) => tryBind({ url: slapd.url, dn: `cn=${cn},ou=people,${slapd.suffix}`, password });
    expect(await bind('al\\5C69ce')).toMatchObject({ code: 0 });
    expect(await bind('alice')).toMatchObject({ code: 49 });
  });

  test('ends a search at its limit, and refers to another server', async () => {
    expect(await runLdapTool('ldapsearch', service(), ['-b', slapd.suffix, '(cn=many-*)', '1.1'])).toMatchObject({
      code: 4,
    });
    expect(await find('(uid=referred)')).toContain('# refldap://127.0.0.1:9/ou=referred,ou=people');
    const elsewhere = ['-b', `ou=elsewhere,${slapd.suffix}`];
    expect(await runLdapTool('ldapsearch', service(), elsewhere)).toMatchObject({ code: 10 });
  });
});
