import { expect, test, vi } from 'vitest';
import { stringify } from 'yaml';
import { ownContexts, readClusterData } from './entries.ts';
import { parseKubeconfig } from './files.ts';

const text = `
clusters:
- name: prod@login
  cluster:
    extensions:
    - {name: other, extension: {login: https://wrong, cluster: wrong}}
    - {name: client.authentication.k8s.io/exec, extension: {login: https://login, cluster: prod, ca: PEM}}
- {name: bare, cluster: {server: https://x}}
users:
- {name: sallyport, user: {exec: {command: kubectl-sallyport, args: [token]}}}
- {name: ada, user: {exec: {command: /opt/bin/kubectl-sallyport, args: [token, --username, ada]}}}
- {name: windows, user: {exec: {command: 'C:\\bin\\kubectl-sallyport.cmd', args: [token, --url, https://login]}}}
- {name: other, user: {exec: {command: kubectl-oidc_login, args: [token]}}}
- {name: similar, user: {exec: {command: not-kubectl-sallyport, args: [token]}}}
- {name: plain, user: {token: x}}
contexts:
- {name: a, context: {cluster: prod@login, user: sallyport}}
- {name: b, context: {cluster: prod@login, user: ada}}
- {name: c, context: {cluster: bare, user: windows}}
- {name: d, context: {cluster: prod@login, user: other}}
- {name: e, context: {cluster: prod@login, user: similar}}
- {name: f, context: {cluster: prod@login, user: plain}}
- {name: g, context: {cluster: missing, user: missing}}
- {name: h}
`;

test('contexts that run this command are found with what kubectl hands over', () => {
  const config = { login: 'https://login', cluster: 'prod', ca: 'PEM' };
  expect(ownContexts([{ path: 'x', text, document: parseKubeconfig(text) }])).toEqual([
    { name: 'a', words: [], config },
    { name: 'b', words: ['--username', 'ada'], config },
    { name: 'c', words: ['--url', 'https://login'] },
  ]);
});

test('many contexts are found without reading the file for each', () => {
  const contexts = Array.from({ length: 100 }, (_, index) => ({
    name: `c${index}`,
    context: { cluster: 'x', user: 'sallyport' },
  }));
  const users = [
    { name: 'sallyport', user: { exec: { command: 'kubectl-sallyport', args: ['token'] } } },
  ];
  const many = stringify({ contexts, users });
  const document = parseKubeconfig(many);
  const read = vi.spyOn(document, 'toJS');
  expect(ownContexts([{ path: 'x', text: many, document }])).toHaveLength(contexts.length);
  expect(read.mock.calls.length).toBeLessThan(10);
});

const kubeconfig = (cluster: object) =>
  stringify({ clusters: [{ name: 'other' }, { name: 'prod', cluster }] });

test('of a kubeconfig of a server, only what says where the cluster is is taken', () => {
  const text = kubeconfig({
    server: 'https://prod.example.com:6443',
    'certificate-authority-data': 'QUJD',
    'tls-server-name': 'kubernetes',
    'insecure-skip-tls-verify': true,
    'proxy-url': 'http://evil.example.com',
    extensions: [
      {
        name: 'client.authentication.k8s.io/exec',
        extension: { login: 'https://x', cluster: 'prod', ca: 'PEM' },
      },
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
  `${kubeconfig({ server: 'https://prod.example.com' })}x: [`,
  `${kubeconfig({ server: 'https://prod.example.com' })}x: *missing`,
  `${kubeconfig({ server: 'https://prod.example.com' })}---\n`,
])('%j has no cluster that can be used', (text) => {
  expect(() => readClusterData(text, 'prod', 'https://x')).toThrow(
    expect.objectContaining({
      message: expect.stringContaining('https://x: its kubeconfig has no https server'),
      exitCode: 3,
    }),
  );
});
