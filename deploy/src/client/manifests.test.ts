import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { rootFolder } from '../run.ts';
import type { Archive } from './archives.ts';
import { writeHomebrewFormula, writeKrewManifest } from './manifests.ts';
import { platforms } from './platforms.ts';

const archives = platforms.map((platform, index): Archive => {
  const file = `kubectl-sallyport-1.2.3-${platform.name}.${platform.os === 'windows' ? 'zip' : 'tar.gz'}`;
  return { platform, file, size: 1, sha256: String(index).repeat(64), isTried: false };
});
const publication = {
  version: '1.2.3',
  url: new URL('https://files.example.com/client'),
  archives,
};

test('the manifest of krew follows the rules that krew checks, and has each archive', async () => {
  const template = await readFile(join(rootFolder, 'deploy/krew/sallyport.yaml'), 'utf8');
  const { apiVersion, kind, metadata, spec } = parse(writeKrewManifest(template, publication));
  expect([apiVersion, kind, metadata.name]).toEqual([
    'krew.googlecontainertools.github.com/v1alpha2',
    'Plugin',
    'sallyport',
  ]);
  expect(spec.version).toBe('v1.2.3');
  expect(spec.shortDescription).toMatch(/^[^\n]{1,50}$/);
  // krew refuses fields that it does not know.
  expect(Object.keys(spec).sort()).toEqual([
    'caveats',
    'description',
    'homepage',
    'platforms',
    'shortDescription',
    'version',
  ]);
  expect(spec.platforms).toHaveLength(5);
  expect(spec.platforms[1]).toEqual({
    selector: { matchLabels: { os: 'linux', arch: 'arm64' } },
    uri: 'https://files.example.com/client/kubectl-sallyport-1.2.3-linux-arm64.tar.gz',
    sha256: '1'.repeat(64),
    bin: 'kubectl-sallyport',
    files: [
      { from: 'kubectl-sallyport', to: '.' },
      { from: '*LICENSE*', to: '.' },
    ],
  });
  expect(spec.platforms[4]).toMatchObject({
    selector: { matchLabels: { os: 'windows', arch: 'amd64' } },
    uri: 'https://files.example.com/client/kubectl-sallyport-1.2.3-windows-amd64.zip',
    bin: 'kubectl-sallyport.exe',
    files: [{ from: 'kubectl-sallyport.exe' }, {}],
  });
});

test('the formula of Homebrew has the archives of macOS and Linux', () => {
  expect(writeHomebrewFormula(publication)).toBe(`class KubectlSallyport < Formula
  desc "Log in to Kubernetes clusters behind Sallyport"
  homepage "https://files.example.com/client"
  version "1.2.3"
  license "Apache-2.0"

  on_macos do
    on_intel do
      url "https://files.example.com/client/kubectl-sallyport-1.2.3-darwin-amd64.tar.gz"
      sha256 "${'2'.repeat(64)}"
    end
    on_arm do
      url "https://files.example.com/client/kubectl-sallyport-1.2.3-darwin-arm64.tar.gz"
      sha256 "${'3'.repeat(64)}"
    end
  end

  on_linux do
    on_intel do
      url "https://files.example.com/client/kubectl-sallyport-1.2.3-linux-amd64.tar.gz"
      sha256 "${'0'.repeat(64)}"
    end
    on_arm do
      url "https://files.example.com/client/kubectl-sallyport-1.2.3-linux-arm64.tar.gz"
      sha256 "${'1'.repeat(64)}"
    end
  end

  def install
    bin.install "kubectl-sallyport"
  end

  test do
    assert_equal version.to_s, shell_output("#{bin}/kubectl-sallyport --version").chomp
  end
end
`);
});
