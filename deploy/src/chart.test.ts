import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { kubernetesTools } from './testing/kubernetes-tools.ts';
import {
  componentsOf,
  deployFolder,
  type KubernetesObject,
  kustomizeFolder,
  only,
  podOf,
  problemOf,
  renderChart,
  renderOverlay,
  unknownFieldsOf,
  ways,
} from './testing/manifests.ts';

const tools = kubernetesTools();

describe('the chart', () => {
  const withoutNamespace = (objects: readonly KubernetesObject[]) =>
    objects.filter(({ kind }) => kind !== 'Namespace');

  test.each(ways)('has the objects of %s, but for the namespace', async (way) => {
    expect(await renderChart(tools, { way })).toEqual(
      withoutNamespace(await renderOverlay(tools, way)),
    );
  });

  test('has those of service when no value is set', async () => {
    expect(await renderChart(tools)).toEqual(
      withoutNamespace(await renderOverlay(tools, 'service')),
    );
  });

  test('has the objects of each component', async () => {
    const values = {
      certManager: { enabled: true },
      monitoring: { enabled: true },
      networkPolicy: { enabled: true },
      login: { enabled: true },
      config: await readFile(join(kustomizeFolder, 'components/login/gateway.yaml'), 'utf8'),
    };
    expect(await renderChart(tools, values)).toEqual(
      withoutNamespace(await renderOverlay(tools, 'service', componentsOf.service)),
    );
  });

  test('has those of the login server in the way control-plane too', async () => {
    const config = await readFile(join(kustomizeFolder, 'components/login/gateway.yaml'), 'utf8');
    expect(
      await renderChart(tools, { way: 'control-plane', login: { enabled: true }, config }),
    ).toEqual(withoutNamespace(await renderOverlay(tools, 'control-plane', ['login'])));
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
      login: { enabled: true, secret: 'my-login-tls', annotations: { c: 'd' } },
      resources,
      certManager: {
        enabled: true,
        ipAddresses: ['10.43.0.53'],
        dnsNames: ['a.example.com'],
        issuerRef: { name: 'corp' },
      },
      monitoring: { enabled: true, labels: { release: 'prometheus' } },
      networkPolicy: {
        enabled: true,
        prometheus: [{ podSelector: {} }],
        egress: [{ ports: [{ port: 53 }] }],
      },
    });
    const pod = podOf(objects);
    expect(pod.containers[0]).toMatchObject({
      image: `registry.example.com/other@${digest}`,
      resources,
    });
    expect(pod.imagePullSecrets).toEqual([{ name: 'pull' }]);
    const secrets = pod.volumes[0].projected.sources.flatMap(
      ({ secret }: KubernetesObject) => secret?.name ?? [],
    );
    expect(secrets).toEqual(['my-tls', 'my-files', 'my-login-tls']);
    expect(only(objects, 'Service', 'sallyport-login').metadata.annotations).toEqual({ c: 'd' });
    expect(only(objects, 'Deployment').spec.replicas).toBe(5);
    const service = only(objects, 'Service', 'sallyport');
    expect([service.spec.clusterIP, service.metadata.annotations]).toEqual([
      '10.43.0.53',
      { a: 'b' },
    ]);
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
    expect([policy.ingress[1].from, policy.egress]).toEqual([
      [{ podSelector: {} }],
      [{ ports: [{ port: 53 }] }],
    ]);
    expect(
      (await Promise.all(objects.map(problemOf))).filter((problem) => problem !== undefined),
    ).toEqual([]);
    expect(await unknownFieldsOf(objects)).toBe('');
  });

  test.each([
    { values: { way: 'gateway' }, place: '/way' },
    { values: { image: { repositry: 'x' } }, place: 'repositry' },
    { values: { replicas: 0 }, place: '/replicas' },
    { values: { resources: { requests: { cpu: '1' } } }, place: '/resources' },
    {
      values: { way: 'control-plane', monitoring: { enabled: true } },
      place: '/monitoring/enabled',
    },
    {
      values: { way: 'control-plane', networkPolicy: { enabled: true } },
      place: '/networkPolicy/enabled',
    },
  ])('refuses the values $values', async ({ values, place }) => {
    await expect(renderChart(tools, values)).rejects.toThrow(place);
  });

  test('passes the checks of Helm', async () => {
    expect(await tools.helm('lint', '--strict', join(deployFolder, 'helm/sallyport'))).toContain(
      '0 chart(s) failed',
    );
  });
});
