import { createHash, randomBytes } from 'node:crypto';
import { globSync, lstatSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Version } from '@cyclonedx/cyclonedx-library/Spec';
import { JsonStrictValidator } from '@cyclonedx/cyclonedx-library/Validation';
import { createAuthority } from '@sallyport/test-servers/certificates';
import { type TemporaryFolder, temporaryFolder } from '@sallyport/test-servers/temporary-folder';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { buildImage } from '../image/build.ts';
import { architecture, type ImageDetails } from '../image/layout.ts';
import { publicPackages, readSource, tarballOf } from '../packages.ts';
import { pnpm, run } from '../run.ts';
import { type Container, listening, runToEnd, unpackImage } from '../testing/container.ts';
import { kubernetesTools } from '../testing/kubernetes-tools.ts';
import { readObjects, renderOverlay } from '../testing/manifests.ts';
import { mountConfig } from '../testing/mounted-config.ts';
import { createReviewer } from '../testing/reviews.ts';
import { sha256Of } from '../testing/tokens.ts';

let folder: TemporaryFolder;
let output: string;
let source: ImageDetails;
/** Builds everything as a release does, but without compression, which takes most of the time. */
beforeAll(async () => {
  folder = await temporaryFolder('release');
  source = await readSource(0);
  output = await pnpm(
    '--filter',
    '@sallyport/deploy',
    'run',
    'release',
    join(folder.path, 'release'),
    '--quick',
  );
});
afterAll(() => folder[Symbol.asyncDispose]());

const file = (name: string) => join(folder.path, 'release', name);

describe('a release', () => {
  test('has the packages, the image, the chart, the manifests, bills of materials and notes, and their checksums', async () => {
    const { version } = source;
    const tarballs = (await publicPackages()).map(({ manifest }) => tarballOf(manifest));
    expect(tarballs).toContain(`sallyport-gateway-${version}.tgz`);
    const names = [
      ...tarballs,
      `kubectl-sallyport-${version}-linux-${architecture}.tar.gz`,
      `kubectl-sallyport-${version}-linux-${architecture}.cdx.json`,
      'sallyport.yaml',
      'kubectl-sallyport.rb',
      `sallyport-${version}-linux-${architecture}.oci.tar`,
      `sallyport-${version}-linux-${architecture}.cdx.json`,
      `sallyport-${version}-packages.cdx.json`,
      `sallyport-${version}-kubernetes.tar.gz`,
      `sallyport-${version}.tgz`,
      `sallyport-${version}-chart.oci.tar`,
      'RELEASE_NOTES.md',
    ];
    expect((await readdir(file(''))).sort()).toEqual([...names, 'SHA256SUMS'].sort());
    const checked = await run('sha256sum', ['--check', 'SHA256SUMS'], file(''));
    expect(checked.match(/: OK$/gm)).toHaveLength(names.length);
    expect(await readFile(file('RELEASE_NOTES.md'), 'utf8')).toMatch(
      /^# Sallyport \S+\n\n## What (breaks|is new|is better)\n/,
    );
  });

  test('has kubectl sallyport as a program that needs no Node, and the manifest of krew for it', async () => {
    const name = `kubectl-sallyport-${source.version}-linux-${architecture}.tar.gz`;
    await using target = await temporaryFolder('executable');
    await run('tar', ['--extract', '--gzip', '--file', file(name), '--directory', target.path]);
    expect((await readdir(target.path)).sort()).toEqual([
      'LICENSE',
      'NODE-LICENSE',
      'THIRD-PARTY-LICENSES.txt',
      'kubectl-sallyport',
    ]);
    const program = join(target.path, 'kubectl-sallyport');
    const version = await run('env', ['--ignore-environment', program, '--version'], target.path);
    expect(version).toBe(`${source.version}\n`);
    // The program reads YAML and asks a server with nothing but its own content.
    const kubeconfig = join(target.path, 'kubeconfig');
    await writeFile(kubeconfig, 'apiVersion: v1\nkind: Config\n');
    await expect(run(program, ['login', '--kubeconfig', kubeconfig])).rejects.toThrow(
      'the kubeconfig has no current context\n  fix: add a context: kubectl sallyport init URL',
    );
    await expect(run(program, ['init', 'https://127.0.0.1:1'])).rejects.toThrow(
      /can't reach the login server: .*ECONNREFUSED/,
    );
    const { metadata, spec } = parse(await readFile(file('sallyport.yaml'), 'utf8'));
    expect([metadata.name, spec.version]).toEqual(['sallyport', `v${source.version}`]);
    expect(spec.platforms).toMatchObject([
      {
        selector: { matchLabels: { os: 'linux', arch: architecture } },
        uri: expect.stringMatching(new RegExp(`/v${source.version}/${name}$`)),
        sha256: createHash('sha256')
          .update(await readFile(file(name)))
          .digest('hex'),
        bin: 'kubectl-sallyport',
      },
    ]);
  });

  test('has kubectl sallyport for Windows, which is built here as well', async () => {
    await using target = await temporaryFolder('client');
    const client = join(import.meta.dirname, '../client.ts');
    const words = ['--platform=windows-amd64', '--url=https://files.example.com/client'];
    const variables = [`INIT_CWD=${target.path}`, 'CODE=dist'];
    const printed = await run('env', [...variables, process.execPath, client, ...words]);
    const archive = `kubectl-sallyport-${source.version}-windows-amd64.zip`;
    expect(printed).toContain(`  ${archive}  `);
    const folder = join(target.path, 'dist/client');
    const manifests = ['kubectl-sallyport.rb', 'sallyport.yaml'];
    expect((await readdir(folder)).sort()).toEqual(['SHA256SUMS', archive, ...manifests].sort());
    await run('sha256sum', ['--check', '--strict', 'SHA256SUMS'], folder);
    await run('unzip', ['-q', archive], folder);
    const program = await readFile(join(folder, 'kubectl-sallyport.exe'));
    const header = program.readUInt32LE(0x3c);
    expect(program.toString('latin1', header, header + 4)).toBe('PE\0\0');
    // The signature of Node is gone, and the client is in it.
    expect(program.readUInt32LE(header + 24 + 112 + 4 * 8 + 4)).toBe(0);
    expect(program.includes('kubectl sallyport init URL')).toBe(true);
  });

  test.each([
    ['client', '--platform=linux-mips', '--platform linux-mips: use one of linux-amd64, '],
    ['client', '--url=http://files.example.com', '--url: write the https URL of the folder'],
    ['release', '--dry-run', "Unknown option '--dry-run'\n  fix: it takes [DIR]"],
    ['release', 'v0.2.0', 'v0.2.0: DIR is a folder, and the version is that of the packages'],
  ])('%s builds nothing with %s', async (name, word, message) => {
    const script = join(import.meta.dirname, `../${name}.ts`);
    await expect(run(process.execPath, [script, word], folder.path)).rejects.toThrow(message);
  });

  test('publishes nothing, and says what publishing would run and what is in the way', () => {
    expect(output).toMatch(/^Nothing is published\. .* It would run:\n {2}npm publish /m);
    expect(output).toContain('RELEASE_IMAGE is not set');
  });

  test('is not built for publishing with something in the way', async () => {
    const other = join(folder.path, 'other');
    const refused = run(process.execPath, [
      join(import.meta.dirname, '../release.ts'),
      other,
      '--strict',
    ]);
    await expect(refused).rejects.toThrow(/nothing was built:\n {2}/);
    expect(await readdir(folder.path)).not.toContain('other');
  });

  test('has the chart that the repository has', async () => {
    const { helm } = kubernetesTools();
    const packed = await helm(
      'template',
      'sallyport',
      file(`sallyport-${source.version}.tgz`),
      '--namespace=sallyport',
    );
    expect(readObjects(packed)).toEqual(
      readObjects(
        await helm(
          'template',
          'sallyport',
          join(import.meta.dirname, '../../helm/sallyport'),
          '--namespace=sallyport',
        ),
      ),
    );
  });

  /** Validates a bill of materials. The schema is compiled once. */
  const validator = new JsonStrictValidator(Version.v1dot6);

  /** Reads the only file whose name begins and continues like this. */
  async function billOf(start: string, part: string): Promise<string> {
    const names = await readdir(file(''));
    const [found = ''] = names.filter(
      (one) => one.startsWith(start) && one.includes(part) && one.endsWith('.cdx.json'),
    );
    const bill = await readFile(file(found), 'utf8');
    expect(await validator.validate(bill)).toBeNull();
    return bill;
  }

  test('has a bill of materials of the program, with Node and what is bundled', async () => {
    const { components } = JSON.parse(await billOf('kubectl-sallyport-', 'linux'));
    expect(components.map(({ name }: { name: string }) => name).sort()).toEqual([
      'kubectl-sallyport',
      'node',
    ]);
    const client = components.find(({ name }: { name: string }) => name === 'kubectl-sallyport');
    expect(client.components.map(({ name }: { name: string }) => name).sort()).toEqual([
      'uqr',
      'yaml',
    ]);
  });

  test.each(['linux', 'packages'])(
    'has a bill of materials that follows CycloneDX: %s',
    async (name) => {
      const bill = await billOf('sallyport-', name);
      const { components } = JSON.parse(bill) as {
        components: { purl: string; components?: { name: string }[] }[];
      };
      const purls = components.map(({ purl }) => purl);
      expect(purls).toContainEqual(expect.stringMatching(/^pkg:npm\/ioredis@/));
      const gateway = components.find(({ purl }) =>
        purl.startsWith('pkg:npm/%40sallyport/gateway@'),
      );
      expect(gateway?.components?.map(({ name: inside }) => inside)).toContain('koa');
      const system = ['pkg:generic/node@', 'pkg:deb/debian/libc6@'].map((start) =>
        purls.some((purl) => purl.startsWith(start)),
      );
      expect(system).toEqual(name === 'linux' ? [true, true] : [false, false]);
    },
  );
});

describe('the image', () => {
  let container: Container;
  let config: string;
  const token = randomBytes(32).toString('base64url');

  async function issue() {
    const server = await createAuthority('server-authority');
    const client = await createAuthority('client-authority');
    const { certificate, key } = await server.issueServer();
    const secrets = {
      'sallyport-tls': { 'tls.crt': certificate, 'tls.key': key },
      'sallyport-files': {
        'client-ca.crt': client.certificate,
        'tokens.yaml': `tokens:\n  - sha256: ${sha256Of(token)}\n    username: ops\n    groups: [system:masters]\n`,
      },
    };
    return { server, client: await client.issueClient('kube-apiserver'), secrets };
  }
  let tls: Awaited<ReturnType<typeof issue>>;

  beforeAll(async () => {
    tls = await issue();
    const objects = await renderOverlay(kubernetesTools(), 'service');
    config = join(folder.path, 'config');
    await run('mkdir', [config]);
    await mountConfig(objects, tls.secrets, config);
    // The default is 5s, for which the clients of the last test would keep all CPUs busy.
    const gatewayConfig = join(config, 'gateway.yaml');
    const text = await readFile(gatewayConfig, 'utf8');
    await writeFile(gatewayConfig, text.replace(/^server:$/m, '$&\n  shutdownDelay: 500ms'));
    const archive = file(`sallyport-${source.version}-linux-${architecture}.oci.tar`);
    container = await unpackImage(archive, source.version, folder.path, config);
  });

  test('has the same digest when it is built again', async () => {
    const [, first] = /with the image (sha256:[0-9a-f]{64})$/m.exec(output) ?? [];
    const again = await buildImage(file(''), join(folder.path, 'again'), source);
    expect(again.digest).toBe(first);
  });

  test('has no shell, no set-user-ID, less than 150 MB, and runs as 65532', () => {
    const found = globSync('**/*', { cwd: container.root, withFileTypes: true })
      .map((entry) => join(entry.parentPath, entry.name))
      .map((path) => ({ path: path.slice(container.root.length), stat: lstatSync(path) }))
      .filter(({ stat }) => !stat.isDirectory());
    const bytes = found.reduce((sum, { stat }) => sum + stat.size, 0);
    console.log(`${(bytes / 1e6).toFixed(1)} MB unpacked, ${found.length} files`);
    expect(bytes).toBeLessThan(150e6);
    expect(
      found.filter(
        ({ stat }) => (stat.mode & 0o7000) !== 0 || stat.uid !== 0 || (stat.mode & 0o022) !== 0,
      ),
    ).toEqual([]);
    const programs = found.filter(
      ({ path, stat }) => (stat.mode & 0o111) !== 0 && /\/s?bin\//.test(path),
    );
    expect(programs.map(({ path }) => path).sort()).toEqual([
      '/usr/local/bin/node',
      '/usr/local/bin/sallyport',
    ]);
    expect(
      found.map(({ path }) => path).filter((path) => /\/(sh|bash|dash|busybox|npm)$/.test(path)),
    ).toEqual([]);
    expect(container.process).toMatchObject({
      args: ['/usr/local/bin/sallyport', 'serve', '--config', '/etc/sallyport/gateway.yaml'],
      user: { uid: 65532, gid: 65532 },
    });
  });

  test('writes nowhere, and finds hosts', async () => {
    const script = `import('node:fs').then(async ({ writeFileSync }) => {
      const write = (path) => { try { writeFileSync(path, ''); return 'written'; } catch ({ code }) { return code; } };
      const { address } = await (await import('node:dns')).promises.lookup('localhost');
      console.log(JSON.stringify([['/x', '/app/x', '/etc/sallyport/x'].map(write), process.getuid(), address !== '']));
    })`;
    const { stdout, stderr } = await runToEnd(
      container.start(['/usr/local/bin/node', '-e', script]),
    );
    expect([stdout, stderr]).toEqual([
      `${JSON.stringify([['EROFS', 'EROFS', 'EROFS'], 65532, true])}\n`,
      '',
    ]);
  });

  test('checks its config, where kubectl exec would start it', async () => {
    const { code, stdout, stderr } = await runToEnd(
      container.start(['/usr/local/bin/sallyport', 'check']),
    );
    expect([code, stdout + stderr]).toEqual([0, expect.stringContaining('break-glass')]);
  });

  test('answers reviews on a read-only root without any right, and ends on SIGTERM without losing one', async () => {
    const words = [...container.process.args, '--listen=127.0.0.1:0', '--admin-listen=127.0.0.1:0'];
    const child = container.start(words);
    const ended = new Promise((resolve) =>
      child.once('close', (code, signal) => resolve(code ?? signal)),
    );
    const { url } = await listening(child);
    const status = await readFile(`/proc/${child.pid}/status`, 'utf8');
    const field = (name: string) => new RegExp(`^${name}:\\s+(\\S+)`, 'm').exec(status)?.[1];
    expect(['Uid', 'Gid', 'CapEff', 'NoNewPrivs'].map(field)).toEqual([
      '65532',
      '65532',
      '0000000000000000',
      '1',
    ]);

    const line = (await readFile(`/proc/${child.pid}/cmdline`, 'utf8')).split('\0');
    expect(line).toEqual(expect.arrayContaining(['--disable-sigusr1', '--max-semi-space-size=8']));

    let answered = 0;
    // Each client goes on until the gateway asks it to go to another replica.
    const clients = Array.from({ length: 4 }, async () => {
      const reviewer = createReviewer(String(url), tls.server, tls.client);
      for (let isLast = false; !isLast; ) {
        const answer = await reviewer.review(token);
        expect(answer.status.user?.username).toBe('break-glass:ops');
        answered += 1;
        if (answered === 200) child.kill('SIGTERM');
        isLast = answer.isLast;
      }
    });
    await Promise.all(clients);
    expect([await ended, answered > 200]).toEqual([0, true]);
    console.log(`${answered} reviews answered, none lost`);
  });
});
