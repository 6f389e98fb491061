import { parse, stringify } from 'yaml';
import type { Archive } from './archives.ts';
import { commandName } from './program.ts';

interface Publication {
  readonly version: string;
  /** The folder on a server in which the archives are. */
  readonly url: URL;
  readonly archives: readonly Archive[];
}

const findUrl = ({ url }: Publication, { file }: Archive): string =>
  new URL(file, url.href.replace(/\/?$/, '/')).href;

/**
 * Writes the manifest for krew.
 *
 * @param template the text of deploy/krew/sallyport.yaml: all but the version and the archives stay
 * @see https://krew.sigs.k8s.io/docs/developer-guide/plugin-manifest/
 */
export function writeKrewManifest(template: string, publication: Publication): string {
  const plugin = parse(template);
  const platforms = publication.archives.map((archive) => {
    const { os, arch } = archive.platform;
    const bin = os === 'windows' ? `${commandName}.exe` : commandName;
    return {
      selector: { matchLabels: { os, arch } },
      uri: findUrl(publication, archive),
      sha256: archive.sha256,
      bin,
      files: [bin, '*LICENSE*'].map((from) => ({ from, to: '.' })),
    };
  });
  const { version, url } = publication;
  const spec = { ...plugin.spec, version: `v${version}`, homepage: url.href, platforms };
  return stringify({ ...plugin, spec });
}

/**
 * Writes the formula for Homebrew, which runs on macOS and Linux.
 *
 * @see https://docs.brew.sh/Formula-Cookbook
 */
export function writeHomebrewFormula(publication: Publication): string {
  const blocks = ([os, system]: readonly [string, string]): readonly string[] => {
    const archives = publication.archives.filter(({ platform }) => platform.os === os);
    if (archives.length === 0) return [];
    const downloads = archives.flatMap((archive) => [
      `    on_${archive.platform.arch === 'arm64' ? 'arm' : 'intel'} do`,
      `      url "${findUrl(publication, archive)}"`,
      `      sha256 "${archive.sha256}"`,
      '    end',
    ]);
    return [`  on_${system} do`, ...downloads, '  end', ''];
  };
  return `${[
    'class KubectlSallyport < Formula',
    '  desc "Log in to Kubernetes clusters behind Sallyport"',
    `  homepage "${publication.url.href}"`,
    `  version "${publication.version}"`,
    '  license "Apache-2.0"',
    '',
    ...[['darwin', 'macos'] as const, ['linux', 'linux'] as const].flatMap(blocks),
    '  def install',
    `    bin.install "${commandName}"`,
    '  end',
    '',
    '  test do',
    `    assert_equal version.to_s, shell_output("#{bin}/${commandName} --version").chomp`,
    '  end',
    'end',
  ].join('\n')}\n`;
}
