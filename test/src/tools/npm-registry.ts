import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { promisify } from 'node:util';

interface NpmPackage {
  readonly version: string;
  readonly tarball: Buffer;
  readonly manifest: object;
}

export interface NpmRegistry extends AsyncDisposable {
  /** The line of .npmrc that sends npm to it, only for packages of this scope. */
  readonly npmrc: string;
}

async function readPackage(file: string): Promise<NpmPackage> {
  const { stdout } = await promisify(execFile)('tar', ['-xzOf', file, 'package/package.json']);
  const manifest: { version: string } = JSON.parse(stdout);
  return { version: manifest.version, tarball: await readFile(file), manifest };
}

/** The metadata that npm reads of a package. */
function documentOf(name: string, { version, tarball, manifest }: NpmPackage, url: string): object {
  const integrity = `sha512-${createHash('sha512').update(tarball).digest('base64')}`;
  const dist = { tarball: `${url}/tarballs/${encodeURIComponent(name)}`, integrity };
  return { name, 'dist-tags': { latest: version }, versions: { [version]: { ...manifest, dist } } };
}

/**
 * Starts an npm registry that has these packages, as if they were published. It answers 404 for all others.
 *
 * @param tarballs by the names of their packages, all of the scope `@sallyport`
 */
export async function startNpmRegistry(
  tarballs: ReadonlyMap<string, string>,
): Promise<NpmRegistry> {
  const packages = new Map<string, NpmPackage>();
  for (const [name, file] of tarballs) packages.set(name, await readPackage(file));
  const server = createServer((request, response) => {
    const path = decodeURIComponent(request.url?.slice(1) ?? '');
    const name = path.replace(/^tarballs\//, '');
    const found = packages.get(name);
    if (found === undefined) response.writeHead(404).end('{}');
    else if (name !== path) response.end(found.tarball);
    else response.end(JSON.stringify(documentOf(name, found, url)));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    npmrc: `@sallyport:registry=${url}/\n`,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}
