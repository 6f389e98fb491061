import { readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startRedis } from '@sallyport/test-servers/redis';
import { secret } from '@sallyport/test-servers/tokens';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { http2Client, review } from './testing/clients.ts';
import { blocksOf, commandsIn } from './testing/documents.ts';
import { startFront } from './testing/login-client.ts';
import { createPageShell } from './testing/page-shell.ts';
import { rootFolder } from './testing/pnpm.ts';

const page = 'docs/tutorial.md';

/** Returns the config with this title, as a reader saves it. */
async function configIn(title: string): Promise<string> {
  const blocks = await blocksOf(page);
  return blocks.find(({ text }) => text.startsWith(`# ${title}\n`))?.text ?? '';
}

/** Removes `docker exec`: without a container engine, this machine runs what the container would run. */
const withoutDocker = (line: string): string => line.replace(/^docker exec sallyport /, '');

test('the tutorial: from nothing to a login, and a refusal after a block', async () => {
  await using redis = await startRedis();
  const shell = await createPageShell(undefined, { SALLYPORT_CONFIG: 'tutorial/gateway.yaml' });
  const inFolder = (name: string) => join(shell.root, 'tutorial', name);
  for (const name of ['apps', 'packages', 'examples', 'node_modules']) {
    await symlink(join(rootFolder, name), join(shell.root, name));
  }
  const [, ...files] = (await commandsIn(page, 'npx -y pnpm@10 install')).split('\n');
  const printed = await shell.run(files.join('\n').replace('npx -y pnpm@10 ', ''));
  secret(/"token":"([^"]+)"/.exec(printed)?.[1] ?? '');

  const cluster = parse(await configIn('tutorial/kind.yaml'));
  const { extraArgs, extraVolumes } = parse(cluster.kubeadmConfigPatches[0]).apiServer;
  const flags = Object.entries(extraArgs).map(([name, value]) => `--${name}=${value}`);
  const [mount] = cluster.nodes[0].extraMounts;
  expect(
    flags.map((flag) => flag.replace(mount.containerPath, join(shell.root, mount.hostPath))),
  ).toEqual(printed.match(/(?<=^ {2})--.*$/gm));
  expect(extraVolumes).toEqual([
    expect.objectContaining({ hostPath: mount.containerPath, mountPath: mount.containerPath }),
  ]);

  let loginPort: number | undefined;
  await using front = await startFront(() => loginPort);
  const config = (await configIn('tutorial/gateway.yaml'))
    .replaceAll('redis://127.0.0.1:6379', redis.url)
    .replace('127.0.0.1:8443', '127.0.0.1:0')
    .replace('0.0.0.0:8444', '127.0.0.1:0')
    .replace('localhost:8444', `localhost:${front.port}`);
  await writeFile(inFolder('gateway.yaml'), `${config}admin: { listen: "127.0.0.1:0" }\n`);
  const api = await readFile(inFolder('kube-apiserver/ca.crt'), 'utf8');
  await writeFile(inFolder('tls/cluster-ca.crt'), api);
  const started = (await commandsIn(page, 'docker run')).replaceAll('\\\n', '').split('\n');
  const [, serve = ''] = /node:26 +(node .*)$/.exec(started[1] ?? '') ?? [];
  await using gateway = shell.start(serve);
  const url = await gateway.waitFor(/"url":"([^"]+)".*"msg":"listening"/);
  loginPort = Number(new URL(await gateway.waitFor(/"loginUrl":"([^"]+)"/)).port);

  const client = [
    'export KUBECONFIG="$PWD/tutorial/kubeconfig"',
    (await commandsIn(page, 'ln -s')).replace('localhost:8444', `localhost:${front.port}`),
  ].join('\n');
  const [login = ''] = (await commandsIn(page, 'kubectl sallyport login')).split('\n');
  const logIn = `${login} --username jane --password-stdin`;
  const added = await shell.run(`${client}\n${logIn}`, 'open-sesame');
  expect(added).toContain('added context kind to ');
  expect(added).toMatch(/^logged in to cluster kind as people:jane until /m);
  const again = client
    .split('\n')
    .filter((line) => line.startsWith('export '))
    .join('\n');
  const session = JSON.parse(await shell.run(`${again}\nkubectl sallyport token`));
  const token = secret(session.status.token);

  const read = (name: string) => readFile(inFolder(`kube-apiserver/${name}`), 'utf8');
  const [authority, certificate, key] = await Promise.all(
    ['ca.crt', 'client.crt', 'client.key'].map(read),
  );
  using apiServer = http2Client(url, {
    authority: authority ?? '',
    certificate: certificate ?? '',
    key: key ?? '',
  });
  const audiences = [parse(config).login.clusters.kind.audience];
  const jane = { username: 'people:jane', uid: '1', groups: ['people:k8s-admins'] };
  expect((await review(apiServer, token, 'v1', audiences)).user).toEqual(jane);

  const exec = 'docker exec sallyport node apps/gateway/src/sallyport.js';
  const blocked = await shell.run(withoutDocker(await commandsIn(page, `${exec} block`)));
  expect(blocked).toMatch(/^blocked user people:jane until \S+ \(8h\): refused/m);
  expect(blocked).toContain('confirmed by 1 of 1 replica.');
  expect((await review(apiServer, token, 'v1', audiences)).authenticated).toBe(false);
  const refused = await shell.run(`${again}\n${logIn} 2>&1 || true`, 'open-sesame');
  expect(refused).toContain('wrong name or password, or this user is not allowed to log in');
  await gateway.waitFor(/("reason":"blocked")/);

  await shell.run(withoutDocker(await commandsIn(page, `${exec} unblock`)));
  expect((await review(apiServer, token, 'v1', audiences)).user).toEqual(jane);
});
