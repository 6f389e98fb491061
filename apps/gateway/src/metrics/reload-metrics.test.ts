import { Registry } from 'prom-client';
import { beforeEach, describe, expect, test } from 'vitest';
import type { WatchedFile } from '../files/watched-file.ts';
import { createReloadMetrics, type ReloadMetrics } from './reload-metrics.ts';
import { seriesOf } from './testing/series.ts';

describe('reloads', () => {
  let registry: Registry;
  let metrics: ReloadMetrics;

  beforeEach(() => {
    registry = new Registry();
    metrics = createReloadMetrics(registry);
  });

  const inForce = async () => (await seriesOf(registry)).sallyport_config_last_reload_successful;
  const file = (name: string): WatchedFile => ({ file: name, reload: async () => undefined });

  test('begin at 0, with what was started in force', async () => {
    expect(await seriesOf(registry)).toEqual({
      'sallyport_config_reloads_total{result="success"}': 0,
      'sallyport_config_reloads_total{result="failure"}': 0,
      sallyport_config_last_reload_successful: 1,
    });
  });

  test('are counted by result, whatever was read', async () => {
    metrics.reloaded('config', true);
    metrics.reloaded('certificates', false);
    metrics.reloaded(file('tokens.yaml'), false);
    expect(await seriesOf(registry)).toMatchObject({
      'sallyport_config_reloads_total{result="success"}': 1,
      'sallyport_config_reloads_total{result="failure"}': 2,
    });
  });

  test.each(['config', 'certificates', file('tokens.yaml')] as const)(
    'of %s: what was refused is not in force until the same is taken in',
    async (source) => {
      const others = (['config', 'certificates', file('tokens.yaml')] as const).filter(
        (other) => other !== 'config' && other !== source,
      );
      metrics.reloaded(source, false);
      expect(await inForce()).toBe(0);
      for (const other of others) metrics.reloaded(other, true);
      expect(await inForce()).toBe(0);
      metrics.reloaded(source, true);
      expect(await inForce()).toBe(1);
    },
  );

  test('of the config make all good: it was made with everything that it names', async () => {
    metrics.reloaded('certificates', false);
    metrics.reloaded(file('tokens.yaml'), false);
    metrics.reloaded('config', true);
    expect(await inForce()).toBe(1);
  });
});
