import { X509Certificate } from 'node:crypto';
import { parseCertificates, tlsFileLimit } from '@sallyport/plugin-options';
import { causeOf } from '../config/problems.ts';
import { readBytes } from '../config/read-text.ts';
import type { GatewayConfig, LoginConfig } from '../config/types.ts';
import { readLoginTls } from '../login/login-tls.ts';
import { describeCertificates, isFor, type TrustedFile } from './check-files.ts';
import type { Finding } from './finding.ts';

/** Checks what the login server needs besides its authenticators. */
export async function checkLogin({
  login,
  cache,
}: Pick<GatewayConfig, 'login' | 'cache'>): Promise<readonly Finding[]> {
  if (login === undefined) return [];
  const sealed: readonly Finding[] =
    cache.redis === undefined
      ? [
          {
            check: 'login',
            result: 'warning',
            detail:
              'without cache.redis sessions are not sealed, so whoever can write to the Redis of sessions can make one; ' +
              'and each replica asks the directory by itself',
          },
        ]
      : [];
  return [...(await checkTls(login)), ...(await checkAuthorities(login)), ...sealed];
}

async function checkTls({ tls, publicUrl }: LoginConfig): Promise<readonly Finding[]> {
  if (tls === undefined) return [{ check: 'login TLS', result: 'ok', detail: 'none: plain HTTP on loopback' }];
  try {
    const material = await readLoginTls(tls);
    const host = new URL(publicUrl).hostname.replace(/^\[(.*)\]$/, '$1');
    const problem = `the login certificate is not for ${host}, the host of login.publicUrl: clients would refuse it. Issue it anew with that name`;
    const warnings = [...material.warnings, ...(isFor(new X509Certificate(material.cert), host) ? [] : [problem])];
    return [
      ...describeCertificates(material, ''),
      ...warnings.map((detail): Finding => ({ check: 'login TLS', result: 'warning', detail })),
    ];
  } catch (error) {
    const causes: readonly unknown[] = error instanceof AggregateError ? error.errors : [error];
    return causes.map((cause) => ({ check: 'login TLS', result: 'fault', detail: causeOf(cause) }));
  }
}

/** Reads the CAs that kubeconfigs have. */
async function checkAuthorities(login: LoginConfig): Promise<readonly Finding[]> {
  const found = await Promise.all(
    authoritiesOf(login).map(async ({ setting, file }): Promise<readonly Finding[]> => {
      try {
        parseCertificates(await readBytes(file, tlsFileLimit));
        return [];
      } catch (error) {
        const cause = causeOf(error);
        return [
          {
            check: 'login',
            result: 'fault',
            detail: `${setting}: ${cause.includes(file) ? cause : `${file} ${cause}`}`,
          },
        ];
      }
    }),
  );
  return found.flat();
}

function authoritiesOf({ caFile, clusters }: LoginConfig) {
  return [
    ...(caFile === undefined ? [] : [{ setting: 'login.caFile', file: caFile }]),
    ...Object.entries(clusters).flatMap(([name, { caFile: file }]) => {
      return file === undefined ? [] : [{ setting: `login.clusters.${name}.caFile`, file }];
    }),
  ];
}

/** The files that the login server reads. */
export function loginFilesOf(login: LoginConfig | undefined): TrustedFile[] {
  if (login === undefined) return [];
  const { tls } = login;
  return [
    ...(tls === undefined
      ? []
      : [
          { file: tls.certFile, secret: false },
          { file: tls.keyFile, secret: true },
        ]),
    ...authoritiesOf(login).map(({ file }) => ({ file, secret: false })),
  ];
}
