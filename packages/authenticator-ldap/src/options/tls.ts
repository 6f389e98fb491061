import type { z } from 'zod';
import type { Complain } from './section.ts';
import { isHostName } from './server-url.ts';
import type { TlsOptions } from './types.ts';
import { choice, parseText, path, value } from './values.ts';

export interface TlsKeys {
  readonly caFile?: string | undefined;
  readonly certFile?: string | undefined;
  readonly keyFile?: string | undefined;
  readonly serverName?: string | undefined;
  readonly minVersion?: TlsOptions['minVersion'] | undefined;
}

export const tlsShape: {
  readonly caFile: z.ZodType<string | undefined>;
  readonly certFile: z.ZodType<string | undefined>;
  readonly keyFile: z.ZodType<string | undefined>;
  readonly serverName: z.ZodType<string | undefined>;
  readonly minVersion: z.ZodType<TlsOptions['minVersion'] | undefined>;
} = {
  caFile: path(
    "The authorities that sign the servers' certificates (PEM), relative to the config file. Left out: those of Node.",
    'tls/ldap-ca.crt',
  ).optional(),
  certFile: path(
    'A client certificate (PEM), for servers that ask for one. With keyFile.',
    'tls/ldap-client.crt',
  ).optional(),
  keyFile: path("The client certificate's key (PEM).", 'tls/ldap-client.key').optional(),
  serverName: value(
    { description: "The name that the servers' certificates must have, in place of the host of the URL." },
    (input) => {
      const parsed = parseText(input, 'ldap.example.com');
      if ('fault' in parsed || isHostName(parsed.value)) return parsed;
      return { fault: `${JSON.stringify(parsed.value)} is no host's name`, mend: 'write ldap.example.com' };
    },
  ).optional(),
  minVersion: choice('The oldest version of TLS that is spoken.', ['TLSv1.2', 'TLSv1.3'])
    .optional()
    .meta({ default: 'TLSv1.2' }),
};

const fallback = 'TLSv1.2';

/** @param spoken whether TLS is spoken with any server */
export function settleTls(keys: TlsKeys, spoken: boolean, complain: Complain): TlsOptions {
  const { caFile, certFile, keyFile, serverName, minVersion } = keys;
  const given = Object.entries({ caFile, certFile, keyFile, serverName, minVersion });
  for (const [key, setting] of spoken ? [] : given) {
    if (setting === undefined) continue;
    complain([key], 'does nothing: no server is reached with TLS; remove it, or use ldaps:// or startTLS: true');
  }
  if (certFile !== undefined && keyFile === undefined) {
    complain(['keyFile'], 'must name the key of certFile: write keyFile: tls/ldap-client.key');
  }
  if (keyFile !== undefined && certFile === undefined) {
    complain(['certFile'], 'must name the certificate of keyFile: write certFile: tls/ldap-client.crt');
  }
  return {
    ...(caFile !== undefined && { caFile }),
    ...(certFile !== undefined && { certFile }),
    ...(keyFile !== undefined && { keyFile }),
    ...(serverName !== undefined && { serverName }),
    minVersion: minVersion ?? fallback,
  };
}
