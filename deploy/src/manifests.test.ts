import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { kubernetesTools } from './testing/kubernetes-tools.ts';
import {
  componentsOf,
  deployFolder,
  type KubernetesObject,
  only,
  podOf,
  problemOf,
  readObjects,
  renderOverlay,
  unknownFieldsOf,
  ways,
} from './testing/manifests.ts';

const tools = kubernetesTools();

const renderAll = async (): Promise<KubernetesObject[]> =>
  (await Promise.all(ways.map((way) => renderOverlay(tools, way, componentsOf[way])))).flat();

describe('the objects', () => {
  test('have the types, values and required fields of Kubernetes, cert-manager and the Prometheus operator', async () => {
    const problems = await Promise.all((await renderAll()).map(problemOf));
    expect(problems.filter((problem) => problem !== undefined)).toEqual([]);
  });

  test('have no unknown field', async () => {
    expect(await unknownFieldsOf(await renderAll())).toBe('');
  });

  test('would be refused with a wrong type, a missing field or a mistyped one', async () => {
    const objects = await renderOverlay(tools, 'service', componentsOf.service);
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
    const { version } = JSON.parse(
      await readFile(join(deployFolder, '../apps/gateway/package.json'), 'utf8'),
    );
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
  test.each(ways)(
    'of %s passes pod security "restricted", apart from the network of the host',
    async (way) => {
      const objects = await renderOverlay(tools, way, componentsOf[way]);
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
      expect(
        volumes.map(({ name: _, ...volume }: Record<string, unknown>) => Object.keys(volume)),
      ).toEqual([['projected']]);
      expect(pod).toMatchObject({ automountServiceAccountToken: false, enableServiceLinks: false });
      const onHost = way === 'control-plane';
      expect(pod.hostNetwork ?? false).toBe(onHost);
      expect(only(objects, 'Namespace').metadata.labels['pod-security.kubernetes.io/enforce']).toBe(
        onHost ? 'privileged' : 'restricted',
      );
    },
  );

  test.each(ways)(
    'of %s has only a memory limit, from which the gateway takes its heap, and time to drain',
    async (way) => {
      const pod = podOf(await renderOverlay(tools, way));
      const { resources, env } = pod.containers[0];
      expect(resources.limits).toEqual({ memory: '256Mi' });
      expect(resources.requests).toEqual({ cpu: '100m', memory: '128Mi' });
      // NODE_OPTIONS with a size of the heap would win.
      expect(env).toEqual([
        { name: 'POD_NAMESPACE', valueFrom: { fieldRef: { fieldPath: 'metadata.namespace' } } },
        { name: 'POD_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
        {
          name: 'SALLYPORT_COMMAND',
          value: 'kubectl -n $(POD_NAMESPACE) exec -it $(POD_NAME) -- sallyport',
        },
      ]);
      // The sum in docs/running.md, in seconds, from the defaults.
      const schema = await readFile(
        join(deployFolder, '../apps/gateway/gateway.schema.json'),
        'utf8',
      );
      const keys = JSON.parse(schema).properties.server.properties;
      const seconds = (key: string) => Number(/^(\d+)s$/.exec(keys[key].default)?.[1]);
      const worst = seconds('shutdownDelay') + seconds('drainTimeout') + 5 + 10;
      expect(pod.terminationGracePeriodSeconds).toBeGreaterThan(worst);
    },
  );

  test.each(ways)('of %s is probed where it listens', async (way) => {
    const objects = await renderOverlay(tools, way);
    const { args, ports, startupProbe, livenessProbe, readinessProbe } =
      podOf(objects).containers[0];
    const host = way === 'control-plane' ? { host: '127.0.0.1' } : {};
    expect([startupProbe, livenessProbe, readinessProbe].map(({ httpGet }) => httpGet)).toEqual([
      { path: '/livez', port: 'admin', ...host },
      { path: '/livez', port: 'admin', ...host },
      { path: '/readyz', port: 'admin', ...host },
    ]);
    const config = parse(only(objects, 'ConfigMap').data['gateway.yaml']);
    expect(
      ports.map(({ containerPort }: { containerPort: number }) => `:${containerPort}`),
    ).toEqual([config.server.listen, config.admin.listen]);
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
  expect(await renderOverlay(tools, 'control-plane')).not.toContainEqual(
    expect.objectContaining({ kind: 'Service' }),
  );
  const certificate = only(
    await renderOverlay(tools, 'service', ['cert-manager']),
    'Certificate',
    'sallyport',
  );
  expect(certificate.spec.ipAddresses).toEqual(['127.0.0.1', clusterIP]);
  expect(certificate.spec.secretName).toBe('sallyport-tls');
});

test.each(ways)(
  'people reach the login server of %s by a Service, which hides no address of a client',
  async (way) => {
    const objects = await renderOverlay(tools, way, ['login']);
    const { spec } = only(objects, 'Service', 'sallyport-login');
    expect(spec).toMatchObject({ type: 'LoadBalancer', externalTrafficPolicy: 'Local' });
    const [port] = spec.ports;
    const { containers, volumes } = podOf(objects);
    const { login } = parse(only(objects, 'ConfigMap').data['gateway.yaml']);
    const named = containers[0].ports.find(
      ({ name }: { name: string }) => name === port.targetPort,
    );
    expect(`:${named.containerPort}`).toBe(login.listen);
    expect(new URL(login.publicUrl).port || '443').toBe(`${port.port}`);
    const paths = volumes[0].projected.sources.flatMap(
      ({ secret }: KubernetesObject) => secret?.items ?? [],
    );
    for (const file of [login.tls.certFile, login.tls.keyFile]) {
      expect(paths).toContainEqual(expect.objectContaining({ path: file }));
    }
  },
);

test('the network policy leaves the review port to client certificates, and restricts the admin port and what goes out', async () => {
  const { spec } = only(await renderOverlay(tools, 'service', ['network-policy']), 'NetworkPolicy');
  expect(spec.policyTypes).toEqual(['Ingress', 'Egress']);
  const [reviews, metrics, ...others] = spec.ingress;
  expect([reviews, others]).toEqual([
    { ports: [{ port: 'reviews' }] },
    [{ ports: [{ port: 'login' }] }],
  ]);
  expect([metrics.ports, metrics.from.length]).toEqual([[{ port: 'admin' }], 1]);
  expect(spec.egress.every(({ ports = [] }) => ports.length > 0)).toBe(true);
});

test('the objects in docs/login.md are valid', async () => {
  const text = await readFile(join(deployFolder, 'blocks/docs/login.md'), 'utf8');
  const blocks = [...text.matchAll(/^( *)```yaml\n(.*?)```/gms)].map(
    ([, indent = '', block = '']) => block.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
  );
  const objects = blocks.filter((block) => block.startsWith('apiVersion:')).flatMap(readObjects);
  expect(objects.map(({ kind }) => kind)).toEqual(['ClusterRoleBinding']);
  expect(
    (await Promise.all(objects.map(problemOf))).filter((problem) => problem !== undefined),
  ).toEqual([]);
  expect(await unknownFieldsOf(objects)).toBe('');
});
