import type { z } from 'zod';
import { isHostName, parseText } from '../values/text.ts';
import { type Complain, choice, path, value } from '../values/values.ts';

/** The TLS options have files as they are written in the config; `context.watchFile` resolves and follows them. */
export interface TlsOptions {
  readonly caFile?: string;
  readonly certFile?: string;
  readonly keyFile?: string;
  readonly serverName?: string;
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3';
}

/** The keys of the options about TLS with servers, each valid by itself. */
export type TlsKeys = { readonly [Key in keyof TlsOptions]?: TlsOptions[Key] | undefined };

/** The same keys, as a part of a `section`'s shape. It is a type, since zod takes no interface for a shape. */
export type TlsShape = { readonly [Key in keyof TlsOptions]-?: z.ZodType<TlsKeys[Key]> };

/**
 * Makes the TLS keys of a schema.
 *
 * @param word names the backend in examples: `ldap` makes them `tls/ldap-ca.crt` and
 *   `ldap.example.com`
 */
export function tlsShape(word: string): TlsShape {
  const name = `${word}.example.com`;
  return {
    caFile: path(
      "The CAs that sign the servers' certificates (PEM), relative to the config file. Default: Node's CAs.",
      `tls/${word}-ca.crt`,
    ).optional(),
    certFile: path(
      'A client certificate (PEM), for servers that require one. With keyFile.',
      `tls/${word}-client.crt`,
    ).optional(),
    keyFile: path("The client certificate's key (PEM).", `tls/${word}-client.key`).optional(),
    serverName: value(
      {
        description:
          "The name that the servers' certificates must have, instead of the URL's host.",
      },
      (input) => {
        const parsed = parseText(input, name);
        if ('problem' in parsed || isHostName(parsed.value)) return parsed;
        return {
          problem: `${JSON.stringify(parsed.value)} is not a host name`,
          fix: `write ${name}`,
        };
      },
    ).optional(),
    minVersion: choice('The oldest TLS version accepted.', ['TLSv1.2', 'TLSv1.3'])
      .optional()
      .meta({ default: fallback }),
  };
}

const fallback = 'TLSv1.2';

/** Messages about TLS say this of the backend. */
export interface TlsUse {
  /** The word that `tlsShape` got. */
  readonly word: string;
  /** Whether TLS is used with any server. */
  readonly spoken: boolean;
  /** The fix for keys that do nothing without TLS: `use ldaps:// or startTLS: true`. */
  readonly fix: string;
}

/** Makes the TLS options of the keys. It complains about keys that do nothing, or lack the other one of their pair. */
export function settleTls(
  keys: TlsKeys,
  { word, spoken, fix }: TlsUse,
  complain: Complain,
): TlsOptions {
  const { caFile, certFile, keyFile, serverName, minVersion } = keys;
  const tlsKeys = Object.entries({ caFile, certFile, keyFile, serverName, minVersion }).filter(
    ([, set]) => set !== undefined,
  );
  for (const [key] of spoken ? [] : tlsKeys) {
    complain([key], 'does nothing: no server is reached with TLS', `remove it, or ${fix}`);
  }
  if (certFile !== undefined && keyFile === undefined) {
    complain(['keyFile'], 'must name the key of certFile', `write keyFile: tls/${word}-client.key`);
  }
  if (keyFile !== undefined && certFile === undefined) {
    complain(
      ['certFile'],
      'must name the certificate of keyFile',
      `write certFile: tls/${word}-client.crt`,
    );
  }
  return { minVersion: fallback, ...Object.fromEntries(tlsKeys) };
}
