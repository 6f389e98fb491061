import { randomUUID } from 'node:crypto';
import { type Authority, createAuthority } from '@sallyport/test-servers/certificates';
import { startDnsmasq } from '@sallyport/test-servers/dnsmasq';
import { toLdif } from '@sallyport/test-servers/ldif';
import { hasIPv6 } from '@sallyport/test-servers/ports';
import { type Slapd, type SlapdOptions, startSlapd } from '@sallyport/test-servers/slapd';
import { describe, expect, test } from 'vitest';
import plugin from './index.ts';
import { peopleBase } from './options/testing/ldap-options.ts';
import { type PluginGateway, pluginGateway } from './testing/plugin-gateway.ts';

/** These tests connect the whole plugin to real OpenLDAP servers: addresses, names, certificates and DNS. */

const password = randomUUID();
const aliceDn = `uid=alice,${peopleBase}`;
const isAlice = { kind: 'authenticated', user: { username: 'alice' } };

async function startDirectory(options: SlapdOptions = {}): Promise<Slapd> {
  const slapd = await startSlapd(options);
  const attributes = {
    objectClass: ['account', 'simpleSecurityObject'],
    uid: 'alice',
    userPassword: password,
  };
  await slapd.add(toLdif([{ dn: aliceDn, attributes }]));
  return slapd;
}

function gateway({ caFile, service }: Slapd, where: object): Promise<PluginGateway> {
  const user = { base: peopleBase, filter: '(uid={username})' };
  return pluginGateway(plugin, { caFile, bind: service, user, serverTimeout: '30s', ...where });
}

const addresses = ['127.0.0.1', 'localhost', ...(hasIPv6 ? ['[::1]'] : [])];

test('a server is reached by its name and its addresses, IPv6 too, over LDAPS and StartTLS', async () => {
  await using slapd = await startDirectory();
  for (const host of addresses) {
    await using ldaps = await gateway(slapd, { urls: [`ldaps://${host}:${slapd.ldapsPort}`] });
    expect(await ldaps.logIn('alice', password), host).toEqual(isAlice);
    await using startTls = await gateway(slapd, {
      urls: [`ldap://${host}:${slapd.port}`],
      startTLS: true,
    });
    expect(await startTls.logIn('alice', password), host).toEqual(isAlice);
  }
});

test('check() asks whether the port of ldaps:// is one for clear text', async () => {
  await using slapd = await startDirectory();
  await using mixedUp = await gateway(slapd, { urls: [`ldaps://localhost:${slapd.port}`] });
  const question =
    /it may speak no TLS on this port, .*should the URL begin with ldap:\/\/ and use StartTLS\?/;
  await expect(mixedUp.check()).rejects.toThrow(question);
});

test('a certificate for another name is refused, and serverName names it', async () => {
  await using authority = await createAuthority();
  const certificate = await authority.issueServer({ names: ['DNS:ldap.example.com'] });
  await using slapd = await startDirectory({ authority, certificate });
  for (const where of [{ urls: [slapd.ldapsUrl] }, { urls: [slapd.url], startTLS: true }]) {
    await using strict = await gateway(slapd, where);
    const problem = /not for 127\.0\.0\.1 but for DNS:ldap\.example\.com.*serverName/;
    await expect(strict.check()).rejects.toThrow(problem);
    await expect(strict.logIn('alice', password)).rejects.toMatchObject({ code: 'unavailable' });
    await using named = await gateway(slapd, { ...where, serverName: 'ldap.example.com' });
    expect(await named.logIn('alice', password)).toEqual(isAlice);
  }
});

test('a server that asks for a client certificate gets it, and check() asks for it', async () => {
  await using slapd = await startDirectory({ requiresClientCertificate: true });
  await using other = await createAuthority();
  const files = async ({ issueClient }: Authority) => {
    const { certificateFile: certFile, keyFile } = await issueClient('sallyport');
    return { certFile, keyFile };
  };
  for (const where of [{ urls: [slapd.ldapsUrl] }, { urls: [slapd.url], startTLS: true }]) {
    for (const wrong of [{}, await files(other)]) {
      await using refused = await gateway(slapd, { ...where, ...wrong });
      await expect(refused.check()).rejects.toThrow('certFile');
      await expect(refused.logIn('alice', password)).rejects.toMatchObject({ code: 'unavailable' });
    }
    await using shown = await gateway(slapd, { ...where, ...(await files(slapd.authority)) });
    expect(await shown.logIn('alice', password)).toEqual(isAlice);
    await shown.check();
  }
});

describe('servers by DNS', () => {
  /** Starts two servers with the same people. Searches are anonymous, since the service accounts differ. */
  async function startPair(resources: AsyncDisposableStack): Promise<readonly [Slapd, Slapd]> {
    const authority = resources.use(await createAuthority());
    const start = async () =>
      resources.use(await startDirectory({ authority, anonymousRead: true }));
    return [await start(), await start()];
  }

  async function bindsOfAlice(servers: readonly Slapd[]): Promise<number[]> {
    const counts = await Promise.all(servers.map(({ operations }) => operations()));
    return counts.map(({ bindsByDn }) => bindsByDn.get(aliceDn) ?? 0);
  }

  test.each([
    { name: '_ldaps._tcp.localhost', port: 'ldapsPort', more: {} },
    { name: '_ldap._tcp.localhost', port: 'port', more: { startTLS: true } },
  ] as const)(
    '$name: the first by priority is asked, and when it is down the next',
    async ({ name, port, more }) => {
      await using resources = new AsyncDisposableStack();
      const pair = await startPair(resources);
      const [first, second] = pair;
      // Only this DNS server knows where the service is. Every system knows where localhost is.
      const record = { name, target: 'localhost' };
      const services = [
        { ...record, port: second[port], priority: 2 },
        { ...record, port: first[port], priority: 1 },
      ];
      const dns = resources.use(await startDnsmasq({ services }));
      const srv = { name, nameServers: [dns.nameServer] };
      const where = { ...more, srv, bind: undefined };
      const made = resources.use(await gateway(first, where));
      await made.check();
      expect(await made.logIn('alice', password)).toEqual(isAlice);
      expect(await bindsOfAlice(pair)).toEqual([1, 0]);
      await first.stop();
      expect(await made.logIn('alice', password)).toEqual(isAlice);
      expect((await bindsOfAlice([second]))[0]).toBe(1);
      expect(await made.check()).toEqual([
        expect.stringMatching(
          `^1 of 2 LDAP servers do not work:\n.*localhost:${first[port]}.*connection refused`,
        ),
      ]);
      await second.stop();
      await expect(made.check()).rejects.toThrow(`localhost:${second[port]}`);
    },
  );

  test('targets outside of the domain are refused, unless serverName says whose certificate is right', async () => {
    await using resources = new AsyncDisposableStack();
    const [slapd] = await startPair(resources);
    const name = '_ldaps._tcp.example.test';
    const services = [{ name, target: 'localhost', port: slapd.ldapsPort }];
    const dns = resources.use(await startDnsmasq({ services }));
    const where = { srv: { name, nameServers: [dns.nameServer] }, bind: undefined };
    const refused = resources.use(await gateway(slapd, where));
    await expect(refused.check()).rejects.toThrow('outside of its domain');
    await expect(refused.logIn('alice', password)).rejects.toMatchObject({ code: 'unavailable' });
    const named = resources.use(await gateway(slapd, { ...where, serverName: 'localhost' }));
    expect(await named.logIn('alice', password)).toEqual(isAlice);
  });
});
