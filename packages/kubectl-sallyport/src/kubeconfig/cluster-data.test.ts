import { expect, test } from 'vitest';
import { stringify } from 'yaml';
import { readClusterData } from './cluster-data.ts';

const kubeconfig = (cluster: object) => stringify({ clusters: [{ name: 'other' }, { name: 'prod', cluster }] });

test('of a kubeconfig of a server, only what says where the cluster is is taken', () => {
  const text = kubeconfig({
    server: 'https://prod.example.com:6443',
    'certificate-authority-data': 'QUJD',
    'tls-server-name': 'kubernetes',
    'insecure-skip-tls-verify': true,
    'proxy-url': 'http://evil.example.com',
    extensions: [
      { name: 'client.authentication.k8s.io/exec', extension: { login: 'https://x', cluster: 'prod', ca: 'PEM' } },
    ],
  });
  expect(readClusterData(text, 'prod', 'https://x')).toEqual({
    data: {
      server: 'https://prod.example.com:6443',
      'certificate-authority-data': 'QUJD',
      'tls-server-name': 'kubernetes',
    },
    ca: 'PEM',
  });
});

test.each([
  '',
  '[',
  'clusters: {}',
  'clusters: [1]',
  kubeconfig({}),
  kubeconfig({ server: 'http://prod.example.com' }),
])('%j has no cluster that can be used', (text) => {
  expect(() => readClusterData(text, 'prod', 'https://x')).toThrow(/https:\/\/x: its kubeconfig has no https server/);
});
