import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { temporaryFolder } from '@sallyport/test-servers/temporary-folder';
import { expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { runTool } from './testing/kubernetes-tools.ts';
import { deployFolder, kustomizeFolder, readObjects } from './testing/manifests.ts';

interface Rules {
  readonly groups: readonly unknown[];
}

const ruleFile = join(kustomizeFolder, 'components/monitoring/prometheus-rule.yaml');

async function alertFiles(): Promise<Rules> {
  const folder = join(deployFolder, 'prometheus');
  const names = (await readdir(folder)).filter((name) => name.endsWith('.rules.yaml')).sort();
  const files = await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')));
  return { groups: files.flatMap((text) => (parse(text) as Rules).groups) };
}

/** The first line of the file, which says how to make it again. */
const head =
  '# Made from the rules in deploy/prometheus. When they change: npx -y pnpm@10 --filter @sallyport/deploy test -u\n';

test('the PrometheusRule has the rules of deploy/prometheus, and promtool accepts them', async () => {
  const rule = {
    apiVersion: 'monitoring.coreos.com/v1',
    kind: 'PrometheusRule',
    metadata: {
      name: 'sallyport',
      namespace: 'sallyport',
      labels: { 'app.kubernetes.io/name': 'sallyport' },
    },
    spec: await alertFiles(),
  };
  await expect(
    head + stringify(rule, { lineWidth: 0, aliasDuplicateObjects: false }),
  ).toMatchFileSnapshot(ruleFile);
  await using folder = await temporaryFolder('rules');
  const extracted = join(folder.path, 'rules.yaml');
  await writeFile(extracted, stringify(parse(await readFile(ruleFile, 'utf8')).spec));
  expect((await runTool('promtool', ['check', 'rules', extracted])).stdout).toContain('SUCCESS');
});

test('the ServiceMonitor finds the port, and gives the job the name that the rules use', async () => {
  const [service, monitor] = readObjects(
    await readFile(join(kustomizeFolder, 'components/monitoring/service-monitor.yaml'), 'utf8'),
  );
  expect(service?.metadata.labels).toMatchObject(monitor?.spec.selector.matchLabels);
  expect(service?.spec.ports[0].name).toBe(monitor?.spec.endpoints[0].port);
  const job = service?.metadata.labels[monitor?.spec.jobLabel];
  expect(JSON.stringify(await alertFiles())).toContain(`job=\\"${job}\\"`);
});
