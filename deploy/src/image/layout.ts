import { execFile } from 'node:child_process';
import { hash } from 'node:crypto';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';

/** The metadata of an image in a layout. */
export interface ImageDetails {
  /** The name of the image in the layout, which registries call a tag. */
  readonly version: string;
  /** Seconds since 1970. All times in the image are this one. */
  readonly epoch: number;
  /** The commit that it is built from. */
  readonly revision: string;
  /** The level of gzip for large files: 0 does not compress, 1 is fast, 9 is small. */
  readonly level: number;
}

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

const architectures: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };

/** This machine's architecture, as OCI names it. */
export const architecture: string = architectures[process.arch] ?? process.arch;

const digestOf = (bytes: Buffer): string => `sha256:${hash('sha256', bytes)}`;

/** Packs the content of a folder: the same files give the same bytes, whoever owns them and whenever they were written. */
export async function tarFolder(folder: string, epoch: number): Promise<Buffer> {
  const same = [
    '--sort=name',
    `--mtime=@${epoch}`,
    '--owner=0',
    '--group=0',
    '--numeric-owner',
    '--mode=u=rwX,go=rX',
  ];
  const names = (await readdir(folder)).sort();
  const words = [
    '--create',
    '--format=ustar',
    ...same,
    '--file=-',
    '--directory',
    folder,
    '--',
    ...names,
  ];
  return (await promisify(execFile)('tar', words, { encoding: 'buffer', maxBuffer: 2 ** 30 }))
    .stdout;
}

/** @see https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md */
async function createLayout(output: string, tag: string) {
  const blobs = join(output, 'blobs/sha256');
  await rm(output, { recursive: true, force: true });
  await mkdir(blobs, { recursive: true });

  async function add(mediaType: string, content: Buffer | object): Promise<Descriptor> {
    const bytes = Buffer.isBuffer(content) ? content : Buffer.from(JSON.stringify(content));
    const digest = digestOf(bytes);
    await writeFile(join(blobs, digest.slice('sha256:'.length)), bytes);
    return { mediaType, digest, size: bytes.length };
  }

  return {
    add,
    /** Writes the manifest and what leads to it. @returns its digest */
    async finish(
      config: Descriptor,
      layers: readonly Descriptor[],
      platform?: object,
    ): Promise<string> {
      const mediaType = 'application/vnd.oci.image.manifest.v1+json';
      const manifest = await add(mediaType, { schemaVersion: 2, mediaType, config, layers });
      const annotations = { 'org.opencontainers.image.ref.name': tag };
      const index = {
        schemaVersion: 2,
        manifests: [{ ...manifest, ...(platform && { platform }), annotations }],
      };
      await writeFile(join(output, 'index.json'), JSON.stringify(index));
      await writeFile(join(output, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
      return manifest.digest;
    },
  };
}

/**
 * Writes an image with one layer for each folder as an OCI image layout.
 *
 * @returns the digest of its manifest
 */
export async function writeImage(
  folders: readonly string[],
  output: string,
  details: ImageDetails,
): Promise<string> {
  const layout = await createLayout(output, details.version);
  const layers: Descriptor[] = [];
  const diffs: string[] = [];
  const { level } = details;
  for (const folder of folders) {
    const bytes = await tarFolder(folder, details.epoch);
    diffs.push(digestOf(bytes));
    layers.push(
      await layout.add(
        'application/vnd.oci.image.layer.v1.tar+gzip',
        await promisify(gzip)(bytes, { level }),
      ),
    );
  }
  const config = await layout.add(
    'application/vnd.oci.image.config.v1+json',
    imageConfig(diffs, details),
  );
  return layout.finish(config, layers, { architecture, os: 'linux' });
}

/**
 * Writes a packed chart as an OCI image layout, as `helm push` sends it to a registry. So its digest is known in advance.
 *
 * @param metadata the content of its Chart.yaml
 * @returns the digest of its manifest
 * @see https://helm.sh/docs/topics/registries/#helm-chart-manifest
 */
export async function writeChart(
  chart: Buffer,
  metadata: object,
  output: string,
  version: string,
): Promise<string> {
  const layout = await createLayout(output, version);
  const config = await layout.add('application/vnd.cncf.helm.config.v1+json', metadata);
  return layout.finish(config, [
    await layout.add('application/vnd.cncf.helm.chart.content.v1.tar+gzip', chart),
  ]);
}

/** The config of the image, with the digests of its unpacked layers. */
export function imageConfig(
  diffs: readonly string[],
  { version, epoch, revision }: Omit<ImageDetails, 'level'>,
) {
  const created = new Date(epoch * 1000).toISOString();
  return {
    created,
    architecture,
    os: 'linux',
    config: {
      User: '65532:65532',
      Env: ['PATH=/usr/local/bin', 'SALLYPORT_CONFIG=/etc/sallyport/gateway.yaml'],
      Entrypoint: ['/usr/local/bin/sallyport'],
      Cmd: ['serve', '--config', '/etc/sallyport/gateway.yaml'],
      WorkingDir: '/',
      ExposedPorts: { '8443/tcp': {}, '8081/tcp': {} },
      StopSignal: 'SIGTERM',
      Labels: {
        'org.opencontainers.image.title': 'Sallyport',
        'org.opencontainers.image.description': 'Kubernetes webhook token authentication gateway',
        'org.opencontainers.image.licenses': 'Apache-2.0',
        'org.opencontainers.image.version': version,
        'org.opencontainers.image.revision': revision,
        'org.opencontainers.image.created': created,
      },
    },
    rootfs: { type: 'layers', diff_ids: diffs },
    history: diffs.map(() => ({ created, created_by: 'deploy/image' })),
  };
}
