import type { Credential, UserInfo } from '@sallyport/authenticator';
import { printable } from '../../base/logging/printable.ts';
import type { DirectoryConfig, GatewayConfig } from '../../config/types.ts';
import type { ChainObserver } from '../../engine/chain/chain.ts';
import type { CommandContext } from '../context.ts';
import { printTable } from '../output.ts';

export type ExplainTrace = ReturnType<typeof createTrace>;

export function createTrace(config: Pick<GatewayConfig, 'authenticators' | 'login'>) {
  const { authenticators } = config;
  // `username` and `final` are as Kubernetes sees them. `final` contains the groups of `backend` that are not in `leftOut`, in the same order.
  // The user was looked up in `directory`, and `directoryGroups` says what the config does with its groups.
  const groups: {
    authenticator: string;
    directory?: string;
    directoryGroups?: DirectoryConfig['groups'];
    username: string;
    backend: string[];
    leftOut: string[];
    final: string[];
  }[] = [];
  const steps: { authenticator: string; step: string }[] = [];
  let ids: Credential | undefined;
  let sessionOwner: string | undefined;
  return {
    /** Members of the JSON output. */
    report: { groups, steps },
    /** The ids of the token, if it has some. */
    get credential() {
      return ids;
    },
    onStep(authenticator, step) {
      steps.push({ authenticator, step: String(step) });
    },
    onCredential(_authenticator, credential) {
      ids = credential;
    },
    onNames(link, backendUser, kubernetesUser, directory) {
      // The directory of a user is asked after their own names are known.
      if (directory === undefined)
        sessionOwner = providerOwner(config, link, backendUser, kubernetesUser);
      const authenticator = sessionOwner ?? link;
      const allowed = new Set(kubernetesUser.groups);
      const backend = [...new Set(backendUser.groups)];
      // A session names a user of another authenticator, with the prefixes of that authenticator.
      const owners = authenticators.filter(
        (a) => a.username.prefix + backendUser.username === kubernetesUser.username,
      );
      const groupSource = directory ?? authenticator;
      const owner = owners.find(({ name }) => name === groupSource) ?? owners[0];
      const prefix = owner?.groups.prefix ?? '';
      const leftOut = backend.filter((group) => !allowed.has(prefix + group));
      const final = backend.map((group) => prefix + group).filter((name) => allowed.has(name));
      const mode = authenticators.find(({ name }) => name === authenticator)?.directory?.groups;
      groups.push({
        authenticator,
        ...(directory !== undefined && { directory }),
        ...(mode && { directoryGroups: mode }),
        username: kubernetesUser.username,
        backend,
        leftOut,
        final,
      });
    },
  } satisfies ChainObserver & Record<string, unknown>;
}

/** Returns the authenticator that checked the ID token, if this is the session of a provider's user. */
function providerOwner(
  { authenticators, login }: Pick<GatewayConfig, 'authenticators' | 'login'>,
  link: string,
  backendUser: UserInfo,
  kubernetesUser: UserInfo,
): string | undefined {
  if (login === undefined || link !== login.sessions) return undefined;
  const owners = authenticators.filter(
    ({ username: { prefix } }) => prefix + backendUser.username === kubernetesUser.username,
  );
  if (owners.some(({ name }) => login.authenticators.includes(name))) return undefined;
  const checking = Object.values(login.providers).map(({ authenticator }) => authenticator);
  return owners.find(({ name }) => checking.includes(name))?.name;
}

export function printTrace(
  context: CommandContext,
  config: Pick<GatewayConfig, 'authenticators'>,
  { report: { groups, steps } }: ExplainTrace,
): void {
  for (const userGroups of groups) {
    const { authenticator, directory, username, backend } = userGroups;
    const source = describeSource(authenticator, directory);
    context.stdout.write(`\nGROUPS of ${printable(username)}, from authenticator ${source}\n`);
    const rows = makeGroupRows(config, userGroups);
    if (backend.length === 0) context.stdout.write('none: the backend names none\n');
    else printTable(context, ['BACKEND', 'KUBERNETES'], rows);
  }
  if (steps.length > 0) context.stdout.write('\nSTEPS\n');
  for (const { authenticator, step } of steps)
    context.stdout.write(`${authenticator}: ${printable(step)}\n`);
}

export function describeSource(authenticator: string, directory?: string): string {
  return directory === undefined ? authenticator : `${directory} (directory of ${authenticator})`;
}

type UserGroups = ExplainTrace['report']['groups'][number];

/** Makes a row for each group: as the backend names it, and as Kubernetes sees it, or why it does not. */
function makeGroupRows(
  { authenticators }: Pick<GatewayConfig, 'authenticators'>,
  { authenticator, directory, directoryGroups, backend, leftOut, final }: UserGroups,
): readonly (readonly string[])[] {
  const names = final.values();
  const directoryConfig = authenticators.find(({ name }) => name === authenticator)?.directory;
  const isReplaced = directory === undefined && directoryGroups === 'replace';
  const isUnused = directory !== undefined && directoryGroups === 'keep';
  return backend.map((group) => {
    if (isReplaced) return [group, `replaced by the groups of ${directoryConfig?.authenticator}`];
    if (isUnused) return [group, 'not used: directory.groups is keep'];
    return [
      group,
      leftOut.includes(group) ? 'left out by groups.allow' : (names.next().value ?? ''),
    ];
  });
}
