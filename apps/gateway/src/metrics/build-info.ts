import { readFileSync } from 'node:fs';
import { Gauge, type Registry } from 'prom-client';

const manifest = new URL('../../package.json', import.meta.url);

/** Of this gateway's package. */
export const gatewayVersion: string = JSON.parse(readFileSync(manifest, 'utf8')).version;

/** What runs here, as labels. */
export function createBuildInfo(registry: Registry): void {
  const { node, openssl } = process.versions;
  new Gauge({
    name: 'sallyport_build_info',
    help: 'Always 1. The labels say which version of the gateway runs, on which Node.js, with which OpenSSL.',
    labelNames: ['version', 'node', 'openssl'],
    registers: [registry],
  }).set({ version: gatewayVersion, node, openssl: openssl ?? 'none' }, 1);
}
