import { Resolver } from 'node:dns/promises';
import { expect, test } from 'vitest';
import { startDnsmasq } from './dnsmasq.ts';

const service = '_ldap._tcp.example.test';

test('serves SRV records and addresses, and others once they are published', async () => {
  await using server = await startDnsmasq({
    services: [
      { name: service, target: 'a.example.test', port: 636, priority: 1, weight: 5 },
      { name: service, target: 'b.example.test', port: 1636, priority: 2 },
    ],
    addresses: { 'a.example.test': ['127.0.0.1', '::1'] },
  });
  const resolver = new Resolver({ timeout: 1_000, tries: 3 });
  resolver.setServers([server.nameServer]);
  const records = await resolver.resolveSrv(service);
  expect(records.sort((one, other) => one.priority - other.priority)).toMatchObject([
    { name: 'a.example.test', port: 636, priority: 1, weight: 5 },
    { name: 'b.example.test', port: 1636, priority: 2, weight: 0 },
  ]);
  expect(await resolver.resolve4('a.example.test')).toEqual(['127.0.0.1']);
  expect(await resolver.resolve6('a.example.test')).toEqual(['::1']);
  await expect(resolver.resolveSrv('_ldap._tcp.other.test')).rejects.toMatchObject({ code: 'ENOTFOUND' });

  await server.publish({ services: [{ name: service, target: 'c.example.test', port: 389 }] });
  expect(await resolver.resolveSrv(service)).toMatchObject([{ name: 'c.example.test', port: 389 }]);
  await server.stop();
  await expect(resolver.resolveSrv(service)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  await server.start();
  expect(await resolver.resolveSrv(service)).toHaveLength(1);
});
