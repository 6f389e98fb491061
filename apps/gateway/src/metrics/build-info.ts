import { readFileSync } from 'node:fs';
import { Gauge, type Registry } from 'prom-client';

const manifest = new URL('../../package.json', import.meta.url);

/** What runs here, as labels. */
export function createBuildInfo(registry: Registry): void {
  const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string };
  const { node, openssl } = process.versions;
  new Gauge({
    name: 'sallyport_build_info',
    help: 'Always 1. The labels say which version of the gateway runs, on which Node.js, with which OpenSSL.',
    labelNames: ['version', 'node', 'openssl'],
    registers: [registry],
  }).set({ version, node, openssl: openssl ?? 'none' }, 1);
}
