import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { recordingContext } from '@sallyport/authenticator/conformance';
import { createAuthority } from '@sallyport/test-servers/certificates';
import { temporaryFolder } from '@sallyport/test-servers/temporary-folder';
import { expect, test } from 'vitest';
import { createLdapAuthenticator } from './authenticator.ts';
import { memoryDirectory } from './directory/testing/memory-directory.ts';
import { ldapOptions } from './options/testing/ldap-options.ts';

test('an authenticator makes no more use of connections that were made under the old files', async () => {
  await using old = await createAuthority();
  await using next = await createAuthority();
  await using folder = await temporaryFolder('tls');
  const caFile = path.join(folder.path, 'ca.crt');
  await writeFile(caFile, old.certificate);
  const { context, touch } = recordingContext({ pluginName: 'ldap', baseDirectory: folder.path });
  const directory = memoryDirectory();
  const options = ldapOptions({ tls: { minVersion: 'TLSv1.2', caFile: 'ca.crt' } });
  await createLdapAuthenticator(options, context, () => directory);
  expect(directory.renewals).toBe(0);
  await writeFile(caFile, next.certificate);
  await touch();
  expect(directory.renewals).toBe(1);
});
