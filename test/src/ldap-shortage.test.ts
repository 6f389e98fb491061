import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { http1Client, review } from './testing/clients.ts';
import { startGateway } from './testing/gateway.ts';
import { startPeople } from './testing/ldap-gateway.ts';
import { scrape } from './testing/scrape.ts';

const run = promisify(execFile);

/** Lets the process open no file and no socket more, or as many as before. */
async function limitFiles(pid: number, count: number): Promise<void> {
  await run('prlimit', ['--pid', String(pid), `--nofile=${count}:`]);
}

test.each([
  ['an address', '127.0.0.1'],
  ['a name', 'localhost'],
])('a gateway without a file descriptor left blames itself and no directory server at %s', async (_what, host) => {
  await using people = await startPeople();
  const { ldapsUrl } = people.slapd;
  const url = ldapsUrl.replace('127.0.0.1', host);
  // A kept connection needs no file descriptor.
  const authenticators = [people.authenticator({ options: { urls: [url], reuseUserConnections: false } })];
  await using gateway = await startGateway({ config: { authenticators }, files: people.files });
  using client = http1Client(gateway.url);
  expect((await review(client, people.alice.token)).user?.username).toBe('corp:alice');
  await limitFiles(gateway.pid, 3);
  for (let login = 0; login < 10; login++) {
    expect(await review(client, people.bob.token)).toEqual({
      authenticated: false,
      error: 'authenticator corp unavailable',
    });
  }
  await limitFiles(gateway.pid, 1024);
  // At once: no circuit has to close first.
  expect((await review(client, people.bob.token)).user?.username).toBe('corp:bob');
  const { value } = await scrape(gateway);
  expect(value('sallyport_authenticator_circuit_state{authenticator="corp"}')).toBe(0);
  expect(value(`sallyport_plugin_ldap_server_circuit_state{authenticator="corp",server="${url}"}`)).toBe(0);
  const reasons = gateway.output.lines.flatMap(({ reason }) => (typeof reason === 'string' ? [reason] : []));
  expect(reasons.some((reason) => /this machine is short of file descriptors: raise .*\(EMFILE\)/.test(reason))).toBe(
    true,
  );
});
