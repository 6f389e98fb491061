import type { Registry } from 'prom-client';

/** Reads all series of the gateway in a registry with their values, as Prometheus would. Labels are in any order. */
export async function seriesOf(registry: Registry): Promise<Readonly<Record<string, number>>> {
  const lines = (await registry.metrics())
    .split('\n')
    .filter((line) => line.startsWith('sallyport_'));
  return Object.fromEntries(
    lines.map((line) => {
      const at = line.lastIndexOf(' ');
      return [line.slice(0, at), Number(line.slice(at + 1))];
    }),
  );
}
