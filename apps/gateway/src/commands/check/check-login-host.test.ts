import { expect, test } from 'vitest';
import { checkLoginHost } from './check-login-host.ts';

const check = (publicUrl: string, server: string, browser = true) => {
  const clusters = { prod: { server }, other: { server: 'https://other.corp.internal:6443' } };
  const config = { login: { publicUrl, browser, clusters } };
  return checkLoginHost(config as unknown as Parameters<typeof checkLoginHost>[0]);
};

test('an API server on the host name of the login server is a warning, whatever its port is', () => {
  const publicUrl = 'https://k8s.corp.internal:8444';
  for (const server of ['https://k8s.corp.internal:6443', 'https://K8S.corp.internal'])
    expect(check(publicUrl, server)).toEqual([
      {
        result: 'warning',
        name: 'login-host',
        detail:
          'login.publicUrl and login.clusters.prod.server have the same host name (k8s.corp.internal): browsers send the cookies of a login to all services on this name, and accept cookies from them',
        fix: 'give the login server a host name that no other service has',
      },
    ]);
  expect(check('https://192.0.2.1:8444', 'https://192.0.2.1:6443')).toHaveLength(1);
});

test.each([
  {
    name: 'another name',
    publicUrl: 'https://login.corp.internal:8444',
    server: 'https://k8s.corp.internal:6443',
    browser: true,
  },
  {
    name: 'a login at a terminal alone',
    publicUrl: 'https://k8s.corp.internal:8444',
    server: 'https://k8s.corp.internal',
    browser: false,
  },
  {
    name: 'a trial on this machine',
    publicUrl: 'https://127.0.0.1:8444',
    server: 'https://127.0.0.1:6443',
    browser: true,
  },
  {
    name: 'a trial by its name',
    publicUrl: 'http://localhost:8444',
    server: 'https://localhost:6443',
    browser: true,
  },
])('$name is not warned of', ({ publicUrl, server, browser }) => {
  expect(check(publicUrl, server, browser)).toEqual([]);
});

test('without a login server, there is nothing to say', () => {
  expect(checkLoginHost({})).toEqual([]);
});
