import { expect, test } from 'vitest';
import { execCredential, readExecInfo } from './exec-credential.ts';

const info = (spec: object, apiVersion = 'client.authentication.k8s.io/v1') =>
  JSON.stringify({ kind: 'ExecCredential', apiVersion, spec });

const config = { login: 'https://login.example.com', cluster: 'prod', audience: 'x', ca: 'PEM' };

test('the cluster and the config that kubectl hands over with provideClusterInfo are read', () => {
  const cluster = {
    server: 'https://prod.example.com:6443',
    'certificate-authority-data': 'AAAA',
    config,
  };
  expect(readExecInfo(info({ interactive: true, cluster }))).toEqual({
    version: 'client.authentication.k8s.io/v1',
    interactive: true,
    config: { login: 'https://login.example.com', cluster: 'prod', ca: 'PEM' },
    server: 'https://prod.example.com:6443',
  });
});

test.each([
  { what: 'without cluster info', spec: { interactive: false } },
  {
    what: 'with a cluster that has no extension',
    spec: { interactive: false, cluster: { config: null } },
  },
  {
    what: 'with the extension of another plugin',
    spec: { interactive: false, cluster: { config: { audience: 'prod' } } },
  },
  {
    what: 'with an extension of other types',
    spec: { interactive: false, cluster: { config: { login: 1, cluster: [] } } },
  },
  {
    what: 'with a server that is no text',
    spec: { interactive: false, cluster: { server: 6443 } },
  },
  { what: 'with an interactive that is no boolean', spec: { interactive: 'true' } },
])('of what kubectl hands over $what, only the version counts', ({ spec }) => {
  expect(readExecInfo(info(spec))).toEqual({
    version: 'client.authentication.k8s.io/v1',
    interactive: false,
  });
});

test('without the variable, a user has started the command', () => {
  expect([readExecInfo(undefined), readExecInfo('')]).toEqual([undefined, undefined]);
});

test.each([
  { text: '{', message: /not JSON/ },
  { text: '[]', message: /not an ExecCredential/ },
  { text: '{"kind":"TokenReview"}', message: /not an ExecCredential/ },
  {
    text: info({}, 'client.authentication.k8s.io/v1alpha1'),
    message: /exec\.apiVersion to client\.authentication\.k8s\.io\/v1$/,
  },
])('$text is refused', ({ text, message }) => {
  expect(() => readExecInfo(text)).toThrow(message);
});

test('the answer has the version of the question, and an end without fractions', () => {
  const v1beta1 = readExecInfo(info({}, 'client.authentication.k8s.io/v1beta1'))?.version;
  const text = execCredential(v1beta1, 'sp_x', Date.UTC(2030, 0, 31, 12, 59, 30, 250));
  expect(text).toBe(
    '{"apiVersion":"client.authentication.k8s.io/v1beta1","kind":"ExecCredential",' +
      '"status":{"token":"sp_x","expirationTimestamp":"2030-01-31T12:59:30Z"}}\n',
  );
  expect(execCredential(undefined, 'x', 0)).toContain('"client.authentication.k8s.io/v1"');
});
