import { describe, expect, test } from 'vitest';
import { folderWithProbe, yaml } from './testing/config-folder.ts';
import { unlikelyValues } from './unlikely.ts';

function found(written: object): string[] {
  return unlikelyValues({ authenticators: [] }, [], written).map(
    ({ path, message }) => `${path.join('.')}: ${message}`,
  );
}

describe('a client name', () => {
  const named = (...clientNames: unknown[]) => found({ server: { tls: { clientNames } } });

  test.each(['*', '**', 'kube-*', '*kube-apiserver', 'a.*.example.com'])('%s is no pattern', (name) => {
    expect(named('kube-apiserver', name)).toEqual([
      expect.stringContaining(`server.tls.clientNames.1: "${name}" is compared as it is, and no certificate has that`),
    ]);
  });

  test.each([
    ['CN=kube-apiserver', 'kube-apiserver'],
    ['CN = kube-apiserver', 'kube-apiserver'],
    ['CN=kube-apiserver, O=system:masters', 'kube-apiserver'],
    ['subject=O = acme, CN = kube-apiserver', 'kube-apiserver'],
    ['/O=acme/CN=kube-apiserver', 'kube-apiserver'],
    ['O=acme', 'the common name alone, such as kube-apiserver'],
    ['DNS:kube.example.com', 'kube.example.com'],
    ['URI:spiffe://example.com/a', 'spiffe://example.com/a'],
  ])('%s is how a certificate is shown, and not its name', (text, name) => {
    const problems = unlikelyValues({ authenticators: [] }, [], { server: { tls: { clientNames: [text] } } });
    const message = expect.stringMatching(/ is how a name is displayed, and no certificate has that name/);
    expect(problems).toEqual([{ path: ['server', 'tls', 'clientNames', 0], message, fix: `write ${name}` }]);
  });

  test.each([
    'kube-apiserver',
    'system:node:a',
    'spiffe://example.com/?CN=a',
    '2001:db8::1',
    '*.example.com',
    'spiffe://example.com/kube',
    7,
  ])('%s may be one', (name) => {
    expect(named(name)).toEqual([]);
  });

  test('is found with its line, in a config that loads', async () => {
    await using folder = await folderWithProbe();
    const server = '  tls: { certFile: c, keyFile: k, clientCAFile: a, clientNames: ["*"] }';
    const { warnings } = await folder.load(yaml({ server }));
    expect(warnings).toMatchObject([
      {
        line: 3,
        path: 'server.tls.clientNames[0]',
        fix: expect.stringMatching(/, such as kube-apiserver\..*clientAuth: none$/),
      },
    ]);
  });
});

describe('a trusted proxy', () => {
  const trusted = (...trustedProxies: string[]) => found({ login: { trustedProxies } });

  test.each(['0.0.0.0/0', '::/0', '0.0.0.0/1', '10.0.0.0/7', '2000::/3', '::ffff:0.0.0.0/96', '::FFFF:0:0/103'])(
    '%s is bigger than any private network',
    (network) => {
      expect(trusted('192.0.2.1', network)).toEqual([
        expect.stringMatching(/^login\.trustedProxies\.1: ".*" has addresses of clients: .*perAddress does not hold$/),
      ]);
    },
  );

  test.each(['10.0.0.0/8', 'fc00::/7', '192.0.2.1', '2001:db8::1', '::ffff:10.0.0.0/104', 'proxy/0', '0.0.0.0/x'])(
    '%s may be one, or is an error',
    (network) => {
      expect(trusted(network)).toEqual([]);
    },
  );
});
