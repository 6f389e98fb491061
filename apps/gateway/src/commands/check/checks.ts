import { basename } from 'node:path';
import { printable } from '../../base/logging/printable.ts';
import type { GatewayConfig } from '../../config/types.ts';
import { authority } from '../../http/http-server.ts';
import { probeOutput } from '../../observe/audit/output.ts';
import type { CommandContext } from '../context.ts';
import { type Findings, ok, toPlacedWarning } from '../finding.ts';
import { checkPermissions, type TrustedFile } from '../permissions.ts';
import { checkAddress, type findGateway } from './check-address.ts';
import type { TriedAuthenticator } from './check-authenticators.ts';
import { checkCacheRedis } from './check-cache-redis.ts';
import { checkDirectoryAbility } from './check-directories.ts';
import { checkExamples } from './check-examples.ts';
import { checkFactorRedis } from './check-factor-redis.ts';
import { checkCertificates, checkLogin, checkLoginCertificate } from './check-files.ts';
import { checkLoginHost } from './check-login-host.ts';
import { checkOwner, serviceAccount } from './check-owner.ts';
import { checkProviders } from './check-providers.ts';
import { checkSecondFactor } from './check-second-factor.ts';
import { checkSharedNames } from './check-shared-names.ts';
import { checkTokenPrefixes, checkTokenStores } from './check-shared-tokens.ts';

/** What the checks of a config without errors look at. */
export interface CheckContext {
  readonly command: CommandContext;
  readonly config: GatewayConfig;
  /** The files that the config names. */
  readonly files: readonly TrustedFile[];
  /** The gateway that runs at the addresses of the config. */
  readonly gateway: ReturnType<typeof findGateway>;
  /** A promise, since the other checks do not wait for the backends of authenticators. */
  readonly authenticators: Promise<readonly TriedAuthenticator[]>;
}

export interface Check {
  /** The first column of its findings, unless they have a name of their own. */
  readonly name: string;
  /** What it throws becomes an error. */
  run(context: CheckContext): Findings | Promise<Findings>;
}

/** All checks, in the order of what is printed. They run at the same time. */
export const checks: readonly Check[] = [
  { name: 'config', run: ({ config }) => ok(config.file) },
  { name: 'config', run: ({ config }) => config.warnings.map(toWarning) },
  { name: 'config', run: ({ config }) => checkExamples(config) },
  { name: 'login', run: ({ config }) => checkLoginHost(config) },
  { name: 'TLS', run: ({ command, config }) => checkCertificates(command, config) },
  { name: 'gateway', run: async ({ gateway, config }) => describeGateway(await gateway, config) },
  checkListen('server'),
  checkListen('admin'),
  checkListen('login'),
  { name: 'audit', run: ({ config }) => checkAudit(config) },
  { name: 'cache Redis', run: ({ command, config }) => checkCacheRedis(command, config) },
  { name: 'second-factor Redis', run: ({ command, config }) => checkFactorRedis(command, config) },
  { name: 'login TLS', run: ({ command, config }) => checkLoginCertificate(command, config) },
  { name: 'login', run: ({ config }) => checkLogin(config) },
  {
    name: 'authenticator',
    run: async (context) => (await context.authenticators).flatMap(({ findings }) => findings),
  },
  {
    name: 'token prefixes',
    run: async (context) => checkTokenPrefixes(await context.authenticators),
  },
  {
    name: 'token stores',
    run: async (context) => checkTokenStores(await context.authenticators),
  },
  {
    name: 'shared names',
    run: async (context) => checkSharedNames(await context.authenticators, context.config.login),
  },
  { name: 'directory', run: async (context) => checkDirectoryAbility(await listCreated(context)) },
  {
    name: 'login',
    run: async (context) => checkProviders(context.config, await listCreated(context)),
  },
  {
    name: 'second factor',
    run: async (context) => checkSecondFactor(context.config, await listCreated(context)),
  },
  { name: 'permissions', run: async (context) => checkPermissions(await listAllFiles(context)) },
  {
    name: 'permissions',
    run: async (context) =>
      checkOwner(context.config, await listAllFiles(context), await serviceAccount()),
  },
];

const toWarning = (problem: GatewayConfig['warnings'][number]) =>
  toPlacedWarning('config', problem);

function describeGateway(
  gateway: Awaited<CheckContext['gateway']>,
  { file }: Pick<GatewayConfig, 'file'>,
): Findings {
  if (gateway?.configFile === undefined) return [];
  const { configFile } = gateway;
  const config =
    configFile === file
      ? 'this config file'
      : `${printable(basename(configFile))}, which this file may replace`;
  const addresses = gateway.addresses.map(({ host, port }) => authority(host, port));
  return ok(`runs with ${config}, and listens on ${printable(addresses.join(', '))}`);
}

/** Checks the address of a server, if the config has this server. */
function checkListen(section: 'server' | 'admin' | 'login'): Check {
  const name = `${section}.listen`;
  return {
    name,
    run: async (context) => {
      const server = context.config[section];
      return server === undefined ? [] : checkAddress(name, server.listen, context);
    },
  };
}

/** Checks whether the user who runs this could write the audit trail. It creates no file. */
async function checkAudit({ audit }: Pick<GatewayConfig, 'audit'>): Promise<Findings> {
  if (audit === undefined) return [];
  await probeOutput(audit);
  return ok(audit.output === 'stdout' ? 'standard output' : `${audit.output.file} can be written`);
}

async function listCreated({ authenticators }: Pick<CheckContext, 'authenticators'>) {
  return (await authenticators).flatMap(({ config, authenticator }) =>
    authenticator === undefined ? [] : [{ config, authenticator }],
  );
}

/** Lists the files of the config, and the files that the plugins read. */
export async function listAllFiles({ files, authenticators }: CheckContext) {
  return [...files, ...(await authenticators).flatMap((link) => link.files)];
}
