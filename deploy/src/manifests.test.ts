import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { type KubernetesTools, kubernetesTools } from './testing/kubernetes-tools.ts';
import {
  deployFolder,
  type KubernetesObject,
  kustomizeFolder,
  only,
  problemOf,
  renderChart,
  renderOverlay,
  unknownFieldsOf,
} from './testing/manifests.ts';

let tools: KubernetesTools;
beforeAll(async () => {
  tools = await kubernetesTools();
}, 120_000);

/** Each way, with all components that work with it. */
const all: Readonly<Record<string, readonly string[]>> = {
  'control-plane': ['redis', 'cert-manager'],
  service: ['redis', 'cert-manager', 'monitoring', 'network-policy'],
  'load-balancer': ['redis', 'cert-manager', 'monitoring', 'network-policy'],
};
const ways = Object.keys(all);

const renderAll = async (): Promise<KubernetesObject[]> =>
  (await Promise.all(ways.map((way) => renderOverlay(tools, way, all[way])))).flat();

const podOf = (objects: readonly KubernetesObject[]) => {
  const workload = objects.find(({ kind }) => kind === 'Deployment' || kind === 'DaemonSet');
  return workload?.spec.template.spec;
};

describe('the objects', () => {
  test('have the types, values and required fields of Kubernetes, cert-manager and the Prometheus operator', async () => {
    const problems = await Promise.all((await renderAll()).map(problemOf));
    expect(problems.filter((problem) => problem !== undefined)).toEqual([]);
  });

  test('have no unknown field', async () => {
    expect(await unknownFieldsOf(await renderAll())).toBe('');
  });

  test('would be refused with a wrong type, a missing field or a mistyped one', async () => {
    const objects = await renderOverlay(tools, 'service', all.service);
    const changed = (kind: string, change: (object: KubernetesObject) => void) => {
      const copy = structuredClone(only(objects, kind, 'sallyport'));
      change(copy);
      return copy;
    };
    const wrong = changed('Deployment', ({ spec }) => {
      spec.replicas = 'three';
    });
    const missing = changed('Certificate', ({ spec }) => {
      delete spec.secretName;
    });
    const mistyped = ['Deployment', 'NetworkPolicy', 'ServiceMonitor'].map((kind) =>
      changed(kind, ({ spec }) => {
        spec.slector = {};
      }),
    );
    expect(await problemOf(wrong)).toMatch(/replicas/);
    expect(await problemOf(missing)).toMatch(/secretName/);
    expect((await unknownFieldsOf(mistyped)).match(/"slector"' does not exist/g)).toHaveLength(3);
  });

  test('are in the namespace sallyport, and have the label that monitoring and policies select by', async () => {
    for (const { kind, metadata } of await renderAll()) {
      if (kind !== 'Namespace') expect([kind, metadata.namespace]).toEqual([kind, 'sallyport']);
      expect(metadata.labels['app.kubernetes.io/name']).toBe('sallyport');
    }
  });

  test('name the version of the gateway', async () => {
    const { version } = JSON.parse(await readFile(join(deployFolder, '../apps/gateway/package.json'), 'utf8'));
    const { image } = podOf(await renderOverlay(tools, 'service')).containers[0];
    const chart = parse(await readFile(join(deployFolder, 'helm/sallyport/Chart.yaml'), 'utf8'));
    expect([image, chart.version, chart.appVersion]).toEqual([
      `registry.example.com/sallyport:${version}`,
      version,
      version,
    ]);
  });
});

describe('the pod', () => {
  test.each(ways)('of %s passes pod security "restricted", apart from the network of the host', async (way) => {
    const objects = await renderOverlay(tools, way, all[way]);
    const { securityContext, containers, volumes, ...pod } = podOf(objects);
    expect(securityContext).toMatchObject({
      runAsNonRoot: true,
      runAsUser: 65532,
      fsGroup: 65532,
      seccompProfile: { type: 'RuntimeDefault' },
    });
    expect(containers[0].securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
    expect(volumes.map(({ name: _, ...volume }: Record<string, unknown>) => Object.keys(volume))).toEqual([
      ['projected'],
    ]);
    expect(pod).toMatchObject({ automountServiceAccountToken: false, enableServiceLinks: false });
    const onHost = way === 'control-plane';
    expect(pod.hostNetwork ?? false).toBe(onHost);
    expect(only(objects, 'Namespace').metadata.labels['pod-security.kubernetes.io/enforce']).toBe(
      onHost ? 'privileged' : 'restricted',
    );
  });

  test.each(ways)('of %s has a memory limit with the heap below it, no CPU limit, and time to drain', async (way) => {
    const pod = podOf(await renderOverlay(tools, way));
    const { resources, env } = pod.containers[0];
    expect(Object.keys(resources.limits)).toEqual(['memory']);
    const [, percentage] = /^--max-old-space-size-percentage=(\d+)$/.exec(env[0].value) ?? [];
    expect(Number(percentage)).toBeGreaterThan(30);
    expect(Number(percentage)).toBeLessThan(75);
    // The sum in docs/operations.md, from the defaults in docs/configuration.md: seconds.
    const keys = await readFile(join(deployFolder, '../docs/configuration.md'), 'utf8');
    const seconds = (key: string) => Number(new RegExp(`^\\| \`${key}\` \\| \`(\\d+)s\``, 'm').exec(keys)?.[1]);
    const worst = seconds('shutdownDelay') + seconds('drainTimeout') + 5 + 10;
    expect(pod.terminationGracePeriodSeconds).toBeGreaterThan(worst);
  });

  test.each(ways)('of %s is probed where it listens', async (way) => {
    const objects = await renderOverlay(tools, way);
    const { args, ports, startupProbe, livenessProbe, readinessProbe } = podOf(objects).containers[0];
    const host = way === 'control-plane' ? { host: '127.0.0.1' } : {};
    expect([startupProbe, livenessProbe, readinessProbe].map(({ httpGet }) => httpGet)).toEqual([
      { path: '/livez', port: 'admin', ...host },
      { path: '/livez', port: 'admin', ...host },
      { path: '/readyz', port: 'admin', ...host },
    ]);
    const config = parse(only(objects, 'ConfigMap').data['gateway.yaml']);
    expect(ports.map(({ containerPort }: { containerPort: number }) => `:${containerPort}`)).toEqual([
      config.server.listen,
      config.admin.listen,
    ]);
    const addresses = args.filter((word: string) => word.includes('listen'));
    expect(addresses).toEqual(
      way === 'control-plane' ? ['--listen=127.0.0.1:8443', '--admin-listen=127.0.0.1:8081'] : [],
    );
  });
});

test('three replicas are spread, and no more than one of them leaves at a time', async () => {
  const objects = await renderOverlay(tools, 'service');
  const { replicas, strategy, template } = only(objects, 'Deployment').spec;
  expect([replicas, strategy.rollingUpdate]).toEqual([3, { maxSurge: 1, maxUnavailable: 0 }]);
  expect(template.spec.topologySpreadConstraints).toHaveLength(2);
  expect(only(objects, 'PodDisruptionBudget').spec.maxUnavailable).toBe(1);
});

test('kube-apiserver has an address for each way, and the certificate of cert-manager is for it', async () => {
  const { clusterIP } = only(await renderOverlay(tools, 'service'), 'Service').spec;
  const { spec } = only(await renderOverlay(tools, 'load-balancer'), 'Service');
  expect([spec.type, spec.clusterIP]).toEqual(['LoadBalancer', undefined]);
  expect(await renderOverlay(tools, 'control-plane')).not.toContainEqual(expect.objectContaining({ kind: 'Service' }));
  const certificate = only(await renderOverlay(tools, 'service', ['cert-manager']), 'Certificate', 'sallyport');
  expect(certificate.spec.ipAddresses).toEqual(['127.0.0.1', clusterIP]);
  expect(certificate.spec.secretName).toBe('sallyport-tls');
});

test('the network policy leaves the review port to client certificates, and restricts the admin port and what goes out', async () => {
  const { spec } = only(await renderOverlay(tools, 'service', ['network-policy']), 'NetworkPolicy');
  expect(spec.policyTypes).toEqual(['Ingress', 'Egress']);
  const [reviews, metrics, ...others] = spec.ingress;
  expect([reviews, others]).toEqual([{ ports: [{ port: 'reviews' }] }, []]);
  expect([metrics.ports, metrics.from.length]).toEqual([[{ port: 'admin' }], 1]);
  expect(spec.egress.every(({ ports = [] }) => ports.length > 0)).toBe(true);
});

describe('the chart', () => {
  const withoutNamespace = (objects: readonly KubernetesObject[]) => objects.filter(({ kind }) => kind !== 'Namespace');

  test.each(ways)('has the objects of %s, but for the namespace', async (way) => {
    expect(await renderChart(tools, { way })).toEqual(withoutNamespace(await renderOverlay(tools, way)));
  });

  test('has those of service when no value is set', async () => {
    expect(await renderChart(tools)).toEqual(withoutNamespace(await renderOverlay(tools, 'service')));
  });

  test('has the objects of each component', async () => {
    const values = {
      certManager: { enabled: true },
      monitoring: { enabled: true },
      networkPolicy: { enabled: true },
      config: await readFile(join(kustomizeFolder, 'components/redis/gateway.yaml'), 'utf8'),
    };
    expect(await renderChart(tools, values)).toEqual(
      withoutNamespace(await renderOverlay(tools, 'service', all.service)),
    );
  });

  test('does what its values say, and the result is valid', async () => {
    const digest = `sha256:${'0'.repeat(64)}`;
    const resources = { requests: { cpu: '1', memory: '1Gi' }, limits: { memory: '1Gi' } };
    const objects = await renderChart(tools, {
      image: { repository: 'registry.example.com/other', digest },
      imagePullSecrets: [{ name: 'pull' }],
      replicas: 5,
      secrets: { tls: 'my-tls', files: 'my-files' },
      service: { clusterIP: '10.43.0.53', annotations: { a: 'b' } },
      resources,
      certManager: {
        enabled: true,
        ipAddresses: ['10.43.0.53'],
        dnsNames: ['a.example.com'],
        issuerRef: { name: 'corp' },
      },
      monitoring: { enabled: true, labels: { release: 'prometheus' } },
      networkPolicy: { enabled: true, prometheus: [{ podSelector: {} }], egress: [{ ports: [{ port: 53 }] }] },
    });
    const pod = podOf(objects);
    expect(pod.containers[0]).toMatchObject({ image: `registry.example.com/other@${digest}`, resources });
    expect(pod.imagePullSecrets).toEqual([{ name: 'pull' }]);
    const secrets = pod.volumes[0].projected.sources.flatMap(({ secret }: KubernetesObject) => secret?.name ?? []);
    expect(secrets).toEqual(['my-tls', 'my-files']);
    expect(only(objects, 'Deployment').spec.replicas).toBe(5);
    const service = only(objects, 'Service', 'sallyport');
    expect([service.spec.clusterIP, service.metadata.annotations]).toEqual(['10.43.0.53', { a: 'b' }]);
    expect(only(objects, 'Certificate').spec).toMatchObject({
      secretName: 'my-tls',
      ipAddresses: ['10.43.0.53'],
      dnsNames: ['a.example.com'],
      issuerRef: { name: 'corp' },
    });
    expect(objects.filter(({ kind }) => kind === 'Issuer')).toEqual([]);
    for (const kind of ['ServiceMonitor', 'PrometheusRule']) {
      expect(only(objects, kind).metadata.labels.release).toBe('prometheus');
    }
    const policy = only(objects, 'NetworkPolicy').spec;
    expect([policy.ingress[1].from, policy.egress]).toEqual([[{ podSelector: {} }], [{ ports: [{ port: 53 }] }]]);
    expect((await Promise.all(objects.map(problemOf))).filter((problem) => problem !== undefined)).toEqual([]);
    expect(await unknownFieldsOf(objects)).toBe('');
  });

  test.each([
    [{ way: 'gateway' }, '/way'],
    [{ image: { repositry: 'x' } }, 'repositry'],
    [{ replicas: 0 }, '/replicas'],
    [{ resources: { requests: { cpu: '1' } } }, '/resources'],
    [{ way: 'control-plane', monitoring: { enabled: true } }, '/monitoring/enabled'],
    [{ way: 'control-plane', networkPolicy: { enabled: true } }, '/networkPolicy/enabled'],
  ])('refuses the values %j', async (values, place) => {
    await expect(renderChart(tools, values)).rejects.toThrow(place);
  });

  test('passes the checks of Helm', async () => {
    expect(await tools.helm('lint', '--strict', join(deployFolder, 'helm/sallyport'))).toContain('0 chart(s) failed');
  });
});
