/** The parts of pnpm-lock.yaml that are read here. */
export interface Lockfile {
  readonly importers: Readonly<Record<string, Importer>>;
  /** By name and version, with the versions of peers in brackets. */
  readonly snapshots: Readonly<Record<string, Snapshot>>;
}

interface Importer {
  readonly dependencies?: Readonly<Record<string, { readonly version: string }>>;
  readonly devDependencies?: Readonly<Record<string, { readonly version: string }>>;
}

interface Snapshot {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/** The versions of each package, by its name. */
export type Packages = Readonly<Record<string, readonly string[]>>;

/** The result of a comparison: `isChecked` is false if there was no answer to compare with. */
export interface AdvisoryReport {
  readonly isChecked: boolean;
  readonly hasAdvisories: boolean;
  readonly text: string;
}

/**
 * Lists the packages that users run: the dependencies of apps and packages, and the devDependencies that are bundled into them, with
 * all that these need.
 *
 * @param isTool says which devDependencies only build, check and test
 */
export function listShipped(lockfile: Lockfile, isTool: (name: string) => boolean): Packages {
  const keys = new Set<string>();
  const add = (name: string, version: string) => {
    // Another workspace package is an importer of its own.
    if (version.startsWith('link:')) return;
    const key = `${name}@${version}`;
    if (keys.has(key)) return;
    keys.add(key);
    const snapshot = lockfile.snapshots[key];
    if (snapshot === undefined) throw new Error(`pnpm-lock.yaml has no snapshot of ${key}`);
    const needed = { ...snapshot.dependencies, ...snapshot.optionalDependencies };
    for (const [dependency, needs] of Object.entries(needed)) add(dependency, needs);
  };
  for (const [path, importer] of Object.entries(lockfile.importers)) {
    if (!/^(apps|packages)\//.test(path)) continue;
    for (const [name, { version }] of Object.entries(importer.dependencies ?? {}))
      add(name, version);
    for (const [name, { version }] of Object.entries(importer.devDependencies ?? {}))
      if (!isTool(name)) add(name, version);
  }
  const packages: Record<string, string[]> = {};
  for (const key of [...keys].map((text) => text.replace(/\(.*$/, '')).sort()) {
    const at = key.lastIndexOf('@');
    const [name, version] = [key.slice(0, at), key.slice(at + 1)];
    packages[name] = [...new Set([...(packages[name] ?? []), version])];
  }
  return packages;
}

/** Says which dependencies the group `tools` of renovate.json names: no user runs them. @throws Error without such a group */
export function readTools(renovate: {
  readonly packageRules: readonly {
    readonly groupName?: string;
    readonly matchPackageNames?: readonly string[];
  }[];
}): (name: string) => boolean {
  const names = renovate.packageRules.find(
    ({ groupName }) => groupName === 'tools',
  )?.matchPackageNames;
  if (names === undefined) throw new Error('renovate.json has no group tools');
  return (name) =>
    names.some((tool) =>
      tool.endsWith('/*') ? name.startsWith(tool.slice(0, -1)) : name === tool,
    );
}

/**
 * Compares packages with the advisories of a registry.
 *
 * @param ask sends the packages to npm's bulk advisory endpoint, which answers with the advisories about these versions
 */
export async function compareWithAdvisories(
  packages: Packages,
  ask: (packages: Packages) => Promise<Response>,
): Promise<AdvisoryReport> {
  const notChecked = (why: string): AdvisoryReport => ({
    isChecked: false,
    hasAdvisories: false,
    text: `not checked: the registry's advisories can't be read (${why})`,
  });
  let answer: unknown;
  try {
    const response = await ask(packages);
    if (!response.ok) return notChecked(`it answered ${response.status}`);
    answer = await response.json();
  } catch (error) {
    return notChecked(error instanceof Error ? error.message : String(error));
  }
  if (typeof answer !== 'object' || answer === null || Array.isArray(answer))
    return notChecked('its answer is not an object');
  const lines = Object.entries(answer).flatMap(([name, advisories]) =>
    (Array.isArray(advisories) ? advisories : [advisories]).map(
      ({ severity, title, vulnerable_versions: affected, url }) =>
        `${name} ${packages[name]?.join(', ')}: ${severity}: ${title} (${affected}) ${url}`,
    ),
  );
  const count = Object.keys(packages).length;
  return {
    isChecked: true,
    hasAdvisories: lines.length > 0,
    text: [`${count} packages checked, ${lines.length} advisories`, ...lines].join('\n'),
  };
}
