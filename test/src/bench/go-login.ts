import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { DirectoryFacts } from './backends.ts';
import { ownedChild } from './owned-child.ts';
import type { Tls } from './tls.ts';

export interface GoLogin extends AsyncDisposable {
  readonly pid: number;
  readonly url: string;
}

const pathOf = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const cache = pathOf('../../node_modules/.cache/go-login');

/** The folder into which Debian installs libraries in Go: golang-github-go-ldap-ldap-dev and its dependencies. */
const libraries = '/usr/share/gocode';

/** Compiles the login server in Go, without any download, and starts it. The first time, compiling takes some 30 s. */
export async function startGoLogin(tls: Tls, directory: DirectoryFacts): Promise<GoLogin> {
  const program = `${cache}/go-login`;
  await promisify(execFile)('go', ['build', '-o', program, pathOf('../../go-login/main.go')], {
    env: {
      PATH: process.env.PATH,
      HOME: cache,
      GOCACHE: `${cache}/build`,
      GOPATH: libraries,
      GO111MODULE: 'off',
      GOTOOLCHAIN: 'local',
      CGO_ENABLED: '0',
    },
  });
  const child = spawn(program, { stdio: ['pipe', 'pipe', 'inherit'] });
  const owned = ownedChild(child);
  const { port, ca, service, userBase, groupBase } = directory;
  const settings = {
    ...tls.server,
    address: `localhost:${port}`,
    directoryCA: ca,
    bindDN: service.dn,
    bindPassword: service.password,
    userBase,
    groupBase,
  };
  child.stdin.end(JSON.stringify(settings));
  const [url] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  return {
    pid: child.pid ?? 0,
    url,
    [Symbol.asyncDispose]: owned[Symbol.asyncDispose],
  };
}
