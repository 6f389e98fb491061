import { readFile } from 'node:fs/promises';
import { createJwtIssuer } from '@sallyport/test-servers/jwt-issuer';
import { runLdapTool } from '@sallyport/test-servers/ldap-tools';
import { toLdif } from '@sallyport/test-servers/ldif';
import { longTimeouts } from '@sallyport/test-servers/people';
import { accountControl, adUser, newAdPassword, startSamba } from '@sallyport/test-servers/samba';
import { secret } from '@sallyport/test-servers/tokens';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { http1Client, review } from './testing/clients.ts';
import { runCommand } from './testing/command.ts';
import { configFolder } from './testing/config-folder.ts';
import { blocksOf } from './testing/documents.ts';
import { startGateway } from './testing/gateway.ts';

const iss = 'https://login.microsoftonline.com/TENANT_ID/v2.0';

/** Writes an objectSid, which is base64 of binary, as Entra ID does: MS-DTYP section 2.4.2. */
function sidText(base64: string): string {
  const sid = Buffer.from(base64, 'base64');
  const parts = Array.from({ length: sid[1] ?? 0 }, (_, index) => sid.readUInt32LE(8 + 4 * index));
  return ['S', sid[0], sid.readUIntBE(2, 6), ...parts].join('-');
}

test('the config of docs/directory.md gives users of Entra ID their groups from Active Directory, and refuses disabled ones', async () => {
  await using samba = await startSamba();
  const { suffix, administrator, caFile, ldapsUrl } = samba;
  const password = secret(newAdPassword());
  const jane = adUser({ rdn: 'CN=Jane', accountName: 'jane', password });
  const { dn } = jane;
  const group = (name: string, member: string) => ({
    dn: `CN=${name},CN=Users,${suffix}`,
    attributes: { objectClass: 'group', sAMAccountName: name, member },
  });
  await samba.add(
    toLdif([jane, group('team', dn), group('k8s-admins', `CN=team,CN=Users,${suffix}`)]),
  );
  const login = { url: ldapsUrl, caFile, ...administrator };
  const shown = await runLdapTool('ldapsearch', login, ['-LLL', '-b', dn, 'objectSid']);
  const sid = sidText(/^objectSid:: (\S+)$/m.exec(shown.stdout)?.[1] ?? '');

  const issuer = createJwtIssuer();
  const [example] = (await blocksOf('docs/directory.md')).filter(
    ({ language }) => language === 'yaml',
  );
  const config = parse(example?.text.replaceAll('DC=example,DC=com', suffix) ?? '');
  const [oidc, corp] = config.authenticators;
  // The keys are in a file, since the issuer can't be reached.
  oidc.options.issuers[0].issuer.jwksFile = 'keys.json';
  corp.timeout = longTimeouts.timeout;
  Object.assign(corp.options, longTimeouts.options, { urls: [ldapsUrl] });
  corp.options.bind.dn = administrator.dn;
  const files = {
    ...issuer.files,
    'tls/ad-ca.crt': await readFile(caFile, 'utf8'),
    'secrets/ldap-password': secret(administrator.password),
  };
  const cwd = await configFolder(config, files);
  const checked = await runCommand(['check', '--config', 'gateway.yaml'], { cwd });
  expect(checked.stdout).toMatch(/^authenticator corp +ok /m);
  expect(checked.stdout).not.toMatch(/^authenticator .* (?:warning|error) /m);
  const claims = { iss, aud: 'CLIENT_ID', upn: 'jane@example.com', oid: 'o' };
  const token = issuer.token({ ...claims, onprem_sid: sid });
  const explained = await runCommand(['explain', '--config', 'gateway.yaml'], { cwd }, token);
  // The page shows these tables.
  expect(explained.stdout).toContain(`
GROUPS of oidc:jane@example.com, from authenticator oidc
none: the backend names none

GROUPS of corp:jane, from authenticator corp (directory of oidc)
BACKEND      KUBERNETES
k8s-admins   corp:k8s-admins
team         left out by groups.allow
`);

  oidc.directory.refresh = '1s';
  await using gateway = await startGateway({ config, files });
  using client = http1Client(gateway.url);
  const ask = (moreClaims: object) =>
    review(client, issuer.token({ ...claims, ...moreClaims }), 'v1', [
      'https://kubernetes.default.svc.cluster.local',
    ]);
  const basic = secret(Buffer.from(`jane:${password}`).toString('base64'));
  expect(await review(client, basic)).toEqual({ authenticated: false });
  const user = {
    username: 'oidc:jane@example.com',
    uid: 'o',
    groups: ['corp:k8s-admins'],
    extra: { 'example.com/sid': [sid] },
  };
  expect(await ask({ onprem_sid: sid })).toMatchObject({ authenticated: true, user });
  expect(await ask({ onprem_sid: `${sid}1` })).toEqual({ authenticated: false });
  // A user whom Entra ID does not have from Active Directory.
  expect(await ask({})).toEqual({
    authenticated: false,
    error: expect.stringContaining('oidc'),
  });
  const control = ['replace: userAccountControl', `userAccountControl: ${accountControl.disabled}`];
  await samba.modify([`dn: ${dn}`, 'changetype: modify', ...control].join('\n'));
  await expect.poll(() => ask({ onprem_sid: sid })).toEqual({ authenticated: false });
  await gateway.stop();
  expect(
    gateway.output.lines.flatMap(({ msg, reason }) =>
      msg === 'token review' && reason !== undefined ? [reason] : [],
    ),
  ).toEqual(['unknown-user', 'authenticator oidc unavailable', 'disabled']);
});
