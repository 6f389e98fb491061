import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { getCACertificates } from 'node:tls';
import { isAnchor, isLoopback, parseCertificates, tlsFileLimit } from '@sallyport/plugin-kit';
import { formatPath, nameSetting, type Path } from '../../config/problems.ts';
import { readBytes, UnusableFileError, withFix } from '../../config/read-text.ts';
import type { GatewayConfig, LoginConfig, ServerConfig } from '../../config/types.ts';
import { authority } from '../../http/http-server.ts';
import { readTlsMaterial, type TlsMaterial } from '../../http/tls.ts';
import { loadLogo } from '../../login/logo.ts';
import { isTrustedChain } from '../../login/trusted-chain.ts';
import type { CommandContext } from '../context.ts';
import { type Finding, type Findings, ok, runCheck, warning } from '../finding.ts';
import { listNames } from '../init/hosts.ts';
import { loginNames, names } from '../init/layout.ts';
import type { TrustedFile } from '../permissions.ts';
import { reissue } from './reissue.ts';

/** Reads the files of `server.tls` as `serve` does, and compares the certificate with the address. */
export function checkCertificates(
  context: CommandContext,
  { server, baseDirectory }: Pick<GatewayConfig, 'server' | 'baseDirectory'>,
) {
  const { tls } = server;
  const compare = ": the server in kube-apiserver's webhook kubeconfig must be one of these";
  const serverProblems = (certificate: X509Certificate) =>
    addressProblems(context, certificate, server, baseDirectory);
  return checkTls(tls && readTlsMaterial(tls), serverProblems, compare);
}

/** Reads the files of `login.tls`, and compares the certificate with the URL. */
export async function checkLoginCertificate(
  context: CommandContext,
  { login, baseDirectory }: Pick<GatewayConfig, 'login' | 'baseDirectory'>,
): Promise<Findings> {
  if (login === undefined) return [];
  return checkTls(login.tls && readTlsMaterial(login.tls, 'login'), (certificate) =>
    urlProblem(context, certificate, login, baseDirectory),
  );
}

/** Checks the logo, the CAs that kubeconfigs of the login server get, and whether its sessions are sealed. */
export async function checkLogin({
  login,
  cache,
}: Pick<GatewayConfig, 'login' | 'cache'>): Promise<Findings> {
  if (login === undefined) return [];
  const authorities = listAuthorities(login).map(({ path, file }) =>
    runCheck('login', async () => {
      const certificates = await readAuthorities(path, file);
      // login.caFile is compared with the certificate of the login server.
      return path.length === 2
        ? []
        : authorityProblems(certificates, `${formatPath(path)}: ${file}`);
    }),
  );
  const { logo } = login;
  const readLogo = async () => (logo === undefined ? [] : loadLogo(logo).then(() => []));
  const unsealed =
    'without cache.redis, sessions are not sealed, so anyone who can write to the session Redis can forge one; ' +
    'and each replica asks the directory by itself';
  return [
    ...(await Promise.all([...authorities, runCheck('login', readLogo)])).flat(),
    ...(await checkLoginAuthority(login)),
    ...(cache.redis === undefined ? warning('unsealed-sessions', unsealed, 'add cache.redis') : []),
  ];
}

async function readAuthorities(path: Path, file: string) {
  try {
    return parseCertificates(await readBytes(file, tlsFileLimit));
  } catch (error) {
    const title = error instanceof UnusableFileError ? '' : `${file} `;
    throw nameSetting(withFix(error), path, (message) => `${title}${message}`);
  }
}

/**
 * Warns of the certificate of a server in the place of a CA. kubectl trusts it (Go takes a root as it is), but only until the API server
 * gets another one. A certificate that has signed itself has no CA above it.
 */
function authorityProblems(certificates: readonly X509Certificate[], place: string): Findings {
  const [server] = certificates;
  if (server === undefined || certificates.some(isAnchor)) return [];
  const detail =
    `${place} contains no CA, but the certificate of ${server.subject.replaceAll('\n', ', ')}: kubectl would trust that server until its ` +
    'certificate is renewed, and no other server';
  const fix = `write the certificate of the CA that signed it (${server.issuer.replaceAll('\n', ', ')})`;
  return warning('cluster-ca', detail, fix);
}

/**
 * Compares the CA that kubeconfigs get, or the CAs that this machine knows where they get none, with the certificate that they meet. A
 * file that can't be read is reported elsewhere.
 */
async function checkLoginAuthority({ tls, caFile }: LoginConfig): Promise<Findings> {
  if (tls === undefined) return [];
  try {
    const chain = parseCertificates(await readBytes(tls.certFile, tlsFileLimit));
    const trusted =
      caFile === undefined
        ? knownAuthorities()
        : parseCertificates(await readBytes(caFile, tlsFileLimit));
    if (isTrustedChain(chain, trusted)) return [];
  } catch {
    return [];
  }
  return caFile === undefined
    ? warning(
        'login-ca',
        `no login.caFile is set, and no CA that this machine knows signed the certificate in ${tls.certFile} (login.tls.certFile), or its ` +
          'chain is not complete: kubectl sallyport would refuse it',
        `${completeChain}, or if the machines of your users know that CA`,
      )
    : warning(
        'login-ca',
        `login.caFile: the CAs in ${caFile} did not sign the certificate in ${tls.certFile} (login.tls.certFile), or its chain is not ` +
          'complete: kubectl sallyport would refuse it',
        completeChain,
      );
}

/** Returns the CAs that `kubectl sallyport` trusts if its kubeconfig has none. */
function knownAuthorities(): readonly X509Certificate[] {
  const pems = new Set([...getCACertificates('default'), ...getCACertificates('system')]);
  return [...pems].map((pem) => new X509Certificate(pem));
}

const completeChain =
  'write the root CA of that certificate into login.caFile, and its intermediate CAs, if it has any, into login.tls.certFile below it. ' +
  'Nothing is wrong if a proxy with another certificate is in front of this server';

/** Lists the certificates, with their names: the config does not say which name kube-apiserver calls, so the operator compares. */
async function checkTls(
  reading: Promise<TlsMaterial> | undefined,
  findProblems: (server: X509Certificate) => Promise<Findings>,
  advice = '',
): Promise<Findings> {
  if (reading === undefined) return ok('none: plain HTTP on loopback');
  const { cert, certificates, warnings } = await reading;
  const server = new X509Certificate(cert);
  return [
    ...certificates.map(({ certificate, subject, notAfter }): Finding => {
      const names = certificate === 'client-ca' ? '' : `, for ${server.subjectAltName}${advice}`;
      const detail = `${subject}, until ${notAfter.toISOString()}${names}`;
      return { check: `${certificate} certificate`, result: 'ok', detail };
    }),
    ...warnings.flatMap((text) => warning('certificate', text)),
    ...(await findProblems(server)),
  ];
}

async function addressProblems(
  context: CommandContext,
  certificate: X509Certificate,
  { listen: { host, port }, tls }: ServerConfig,
  folder: string,
): Promise<Findings> {
  const hosts = isLoopback(host) ? ['127.0.0.1', '::1', 'localhost'] : [host];
  const isAnyAddress = host === '::' || host === '0.0.0.0';
  if (tls === undefined || isAnyAddress || hosts.some((name) => isFor(certificate, name)))
    return [];
  const reissueText = await reissue(context, tls, [...listNames(certificate), host], {
    folder,
    certificate: names.server,
    option: '--host',
  });
  return warning(
    'certificate-host',
    `the server certificate is not for ${host}, the address of server.listen: kube-apiserver would refuse it at ` +
      `https://${authority(host, port)}`,
    `call the gateway by ${certificate.subjectAltName}; or ${reissueText}`,
  );
}

async function urlProblem(
  context: CommandContext,
  certificate: X509Certificate,
  { publicUrl, tls }: LoginConfig,
  folder: string,
): Promise<Findings> {
  const host = new URL(publicUrl).hostname.replace(/^\[(.*)\]$/, '$1');
  if (tls === undefined || isFor(certificate, host)) return [];
  const reissueText = await reissue(context, tls, [host], {
    folder,
    certificate: loginNames.certificate,
    option: '--login',
  });
  return warning(
    'certificate-host',
    `the login certificate is for ${certificate.subjectAltName}, and not for ${host}, the host of login.publicUrl: clients would refuse it`,
    `correct login.publicUrl; or ${reissueText}`,
  );
}

function isFor(certificate: X509Certificate, host: string): boolean {
  const matchingName =
    isIP(host) === 0
      ? certificate.checkHost(host, { subject: 'never' })
      : certificate.checkIP(host);
  return matchingName !== undefined;
}

function listAuthorities({ caFile, clusters }: LoginConfig) {
  const files = [
    { path: ['login', 'caFile'], file: caFile },
    ...Object.entries(clusters).map(([name, cluster]) => ({
      path: ['login', 'clusters', name, 'caFile'],
      file: cluster.caFile,
    })),
  ];
  return files.flatMap(({ path, file }) => (file === undefined ? [] : [{ path, file }]));
}

export function listFiles(config: GatewayConfig): readonly TrustedFile[] {
  const { server, login } = config;
  const tls = [server.tls, login?.tls].filter((section) => section !== undefined);
  const secrets = [...config.secretFiles, ...tls.map(({ keyFile }) => keyFile)];
  const client = server.tls?.client;
  const publicFiles = [
    ...[...config.pluginFiles, ...tls.map(({ certFile }) => certFile)],
    ...(client === undefined ? [] : [client.caFile]),
    ...(login === undefined ? [] : listAuthorities(login).map(({ file }) => file)),
    ...(login?.logo === undefined ? [] : [login.logo]),
  ];
  return [
    { file: config.file, secret: config.hasSecrets },
    ...secrets.map((file) => ({ file, secret: true })),
    ...publicFiles.map((file) => ({ file })),
  ];
}
