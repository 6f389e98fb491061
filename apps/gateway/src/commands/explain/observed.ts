import type { Credential, UserInfo } from '@sallyport/authenticator';
import { printable } from '../../base/logging/printable.ts';
import type { DirectoryConfig, GatewayConfig } from '../../config/types.ts';
import type { ChainObserver } from '../../engine/chain/chain.ts';
import type { CommandContext } from '../context.ts';
import { printTable } from '../output.ts';

/** An Observed has what `explain` has seen of the authenticators: the steps that they took, and the groups of users. */
export type Observed = ReturnType<typeof createObserver>;

export function createObserver(config: Pick<GatewayConfig, 'authenticators' | 'login'>) {
  const { authenticators } = config;
  // `username` and `final` are as Kubernetes sees them. `final` has those of `backend` that are not in `leftOut`, in the same order.
  // `directory` is the one in which the user was looked up, and `directoryGroups` what the config does with its groups.
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
  let ofSession: string | undefined;
  return {
    /** The parts of the JSON. */
    seen: { groups, steps },
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
    onNames(link, given, named, directory) {
      // The directory of a user is asked after their own names are known.
      if (directory === undefined) ofSession = providerOwner(config, link, given, named);
      const authenticator = ofSession ?? link;
      const allowed = new Set(named.groups);
      const backend = [...new Set(given.groups)];
      // A session names a user of another authenticator, with the prefixes of that one.
      const owners = authenticators.filter(
        (one) => one.username.prefix + given.username === named.username,
      );
      const giver = directory ?? authenticator;
      const owner = owners.find(({ name }) => name === giver) ?? owners[0];
      const prefix = owner?.groups.prefix ?? '';
      const leftOut = backend.filter((group) => !allowed.has(prefix + group));
      const final = backend.map((group) => prefix + group).filter((name) => allowed.has(name));
      const mode = authenticators.find(({ name }) => name === authenticator)?.directory?.groups;
      groups.push({
        authenticator,
        ...(directory !== undefined && { directory }),
        ...(mode && { directoryGroups: mode }),
        username: named.username,
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
  given: UserInfo,
  named: UserInfo,
): string | undefined {
  if (login === undefined || link !== login.sessions) return undefined;
  const owners = authenticators.filter(
    ({ username: { prefix } }) => prefix + given.username === named.username,
  );
  if (owners.some(({ name }) => login.authenticators.includes(name))) return undefined;
  const checking = Object.values(login.providers).map(({ authenticator }) => authenticator);
  return owners.find(({ name }) => checking.includes(name))?.name;
}

export function printObserved(
  context: CommandContext,
  config: Pick<GatewayConfig, 'authenticators'>,
  { seen: { groups, steps } }: Observed,
): void {
  for (const one of groups) {
    const { authenticator, directory, username, backend } = one;
    const from =
      directory === undefined ? authenticator : `${directory} (directory of ${authenticator})`;
    context.stdout.write(`\nGROUPS of ${printable(username)}, from authenticator ${from}\n`);
    const rows = namedGroups(config, one);
    if (backend.length === 0) context.stdout.write('none: the backend names none\n');
    else printTable(context, ['BACKEND', 'KUBERNETES'], rows);
  }
  if (steps.length > 0) context.stdout.write('\nSTEPS\n');
  for (const { authenticator, step } of steps)
    context.stdout.write(`${authenticator}: ${printable(step)}\n`);
}

type SeenGroups = Observed['seen']['groups'][number];

/** Makes a row for each group: as the backend names it, and as Kubernetes sees it, or why it does not. */
function namedGroups(
  { authenticators }: Pick<GatewayConfig, 'authenticators'>,
  { authenticator, directory, directoryGroups, backend, leftOut, final }: SeenGroups,
): readonly (readonly string[])[] {
  const names = final.values();
  const ofConfig = authenticators.find(({ name }) => name === authenticator)?.directory;
  const isReplaced = directory === undefined && directoryGroups === 'replace';
  const isUnused = directory !== undefined && directoryGroups === 'keep';
  return backend.map((group) => {
    if (isReplaced) return [group, `replaced by the groups of ${ofConfig?.authenticator}`];
    if (isUnused) return [group, 'not used: directory.groups is keep'];
    return [
      group,
      leftOut.includes(group) ? 'left out by groups.allow' : (names.next().value ?? ''),
    ];
  });
}
