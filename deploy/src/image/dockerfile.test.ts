import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { rootFolder } from '../run.ts';
import { layers } from './build.ts';
import { imageConfig } from './layout.ts';

test('the Dockerfile makes what the layout has', async () => {
  const text = await readFile(`${rootFolder}/deploy/image/Dockerfile`, 'utf8');
  const all = (instruction: string) =>
    [...text.matchAll(new RegExp(`^${instruction} (.*)$`, 'gm'))].map(([, value = '']) => value);
  const { config } = imageConfig([], { version: '1.2.3', epoch: 0, revision: 'abc' });
  expect(all('FROM')).toEqual(['scratch']);
  expect(all('COPY')).toEqual(layers.map((layer) => `${layer}/ /`));
  expect(all('ENV').join(' ').split(' ')).toEqual(config.Env);
  expect([...all('ENTRYPOINT'), ...all('CMD')].map((value) => JSON.parse(value))).toEqual([
    config.Entrypoint,
    config.Cmd,
  ]);
  expect([...all('USER'), ...all('STOPSIGNAL')]).toEqual([config.User, config.StopSignal]);
  expect(all('EXPOSE').flatMap((ports) => ports.split(' ').map((port) => `${port}/tcp`))).toEqual(
    Object.keys(config.ExposedPorts),
  );
});
