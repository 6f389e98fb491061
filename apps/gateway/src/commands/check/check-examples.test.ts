import { expect, test } from 'vitest';
import { checkExamples } from './check-examples.ts';

const config = (host: string) =>
  ({
    server: { apiAudiences: ['https://kubernetes.default.svc', `https://api.${host}`] },
    login: {
      publicUrl: `https://login.${host}:8444`,
      clusters: { prod: { audience: 'prod', server: `https://prod.${host}:6443` } },
    },
    provenance: { keyPrefix: host },
  }) as unknown as Parameters<typeof checkExamples>[0];

test('names of an example that are left are listed in one warning', () => {
  expect(checkExamples(config('example.com'))).toEqual([
    {
      result: 'warning',
      name: 'example-names',
      detail:
        'names of an example are left: server.apiAudiences (https://api.example.com), login.publicUrl (https://login.example.com:8444), ' +
        'login.clusters.prod.server (https://prod.example.com:6443), provenance.keyPrefix (example.com)',
      fix: 'write your own names',
    },
  ]);
});

test.each([
  'corp.internal',
  'myexample.com',
  'my-example.com',
  'example.com.corp.net',
  'example.company',
  'example.de',
])('%s is not such a name', (host) => {
  expect(checkExamples(config(host))).toEqual([]);
});

test('nothing is said where nothing is named', () => {
  expect(
    checkExamples({ server: { apiAudiences: [] } } as unknown as Parameters<
      typeof checkExamples
    >[0]),
  ).toEqual([]);
});
