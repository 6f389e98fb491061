/**
 * Reviews of all kinds for ten minutes, while the config is reloaded, certificates change, and the directory, the Redis
 * of the tokens and the Redis of the cache fail in turn. Every answer is checked, and what the gateway holds is compared.
 *
 * `pnpm soak [--minutes 10] [--gateway FILE]`. Exit status 1: an answer was wrong, a recovery took too long, something
 * grew, or more than one review in a thousand could not be checked while no backend was away.
 */
import { randomBytes, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:tls';
import { parseArgs } from 'node:util';
import { startRedis } from '@sallyport/test-servers/redis';
import type { ServerProcess } from '@sallyport/test-servers/server-process';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { type Client, http1Client, http2Client, review } from '../testing/clients.ts';
import { tokensFile } from '../testing/static-tokens.ts';
import { randomToken } from '../testing/tokens.ts';
import { directoryAccess, startDirectory } from './backends.ts';
import { collectsGarbage, configText, type Gateway, metric, names, startGateway } from './gateway.ts';
import { checkout, pathOf } from './options.ts';
import { createKinds, type SoakServers, soakConfig } from './soak-kinds.ts';
import { type Fallible, type SoakLoad, startSoakLoad } from './soak-load.ts';
import { judge, judgeUnexplained, type Sample, takeSample } from './soak-samples.ts';
import { markdown } from './table.ts';
import { createTls, type Tls } from './tls.ts';

/** Milliseconds that each outage lasts. */
const outage = 3_000;

interface Scene {
  readonly gateway: Gateway;
  readonly servers: SoakServers;
  readonly slapd: ServerProcess;
  readonly load: SoakLoad;
  readonly tls: Tls;
  /** Not that of the load. */
  readonly client: Client;
  readonly members: Readonly<Record<string, string>>;
}

async function soak(minutes: number, entry: string): Promise<void> {
  await using resources = new AsyncDisposableStack();
  const scene = await startScene(resources, entry);
  const samples: Sample[] = [];
  const start = performance.now();
  const minute = () => (performance.now() - start) / 60_000;
  for (let cycle = 1; minute() < minutes && scene.load.wrong.length === 0; cycle++) {
    samples.push(await takeSample(scene.gateway, scene.load, minute()));
    console.error(`${minute().toFixed(1)} of ${minutes} minutes, ${cycle} cycles`);
    await changeFiles(scene, cycle);
    await failInTurn(scene, cycle);
  }
  await scene.load.stop();
  report(scene, samples);
}

async function startScene(resources: AsyncDisposableStack, entry: string): Promise<Scene> {
  const tls = await createTls(resources);
  const { slapd, facts } = await startDirectory(resources);
  const [tokens, cache] = [resources.use(await startRedis()), resources.use(await startRedis())];
  const servers: SoakServers = { directory: facts, tokens, cache };
  const members = Object.fromEntries(Array.from({ length: 50 }, (_, at) => [randomToken(), `member-${at}`]));
  const files = {
    'tokens.yaml': tokensFile(members),
    ...directoryAccess(facts).files,
    'secrets/sealing-key': randomBytes(32).toString('base64'),
  };
  const config = soakConfig(servers, '10s');
  const gateway = resources.use(await startGateway({ entry, tls, config, files, nodeArguments: collectsGarbage }));
  const { ca: authority, cert: certificate, key } = tls.client;
  const client = (make: typeof http1Client | typeof http2Client) =>
    resources.use(make(gateway.url, { authority, certificate, key }));
  const load = startSoakLoad([client(http1Client), client(http2Client)], await createKinds(servers, members));
  return { gateway, servers, slapd, load, tls, client: client(http1Client), members };
}

/** Each takes effect within some seconds, and no review may notice. */
async function changeFiles({ gateway, servers, tls, client, members }: Scene, cycle: number): Promise<void> {
  const reloads = () => metric(gateway.adminUrl, 'sallyport_config_reloads_total', ['result="success"']);
  const write = async (files: Readonly<Record<string, string>>): Promise<void> => {
    const before = await reloads();
    for (const [name, content] of Object.entries(files)) await gateway.write(name, content);
    await waitFor(async () => (await reloads()) > before, `a reload of ${Object.keys(files).join(' and ')}`);
  };
  await write({ 'gateway.yaml': configText(soakConfig(servers, cycle % 2 === 0 ? '10s' : '9s')) });
  const { cert, key } = await tls.renew();
  await write({ [names.certFile]: cert, [names.keyFile]: key });
  await waitFor(async () => (await certificateOf(gateway, tls)) === new X509Certificate(cert).fingerprint256, 'it');
  const guest = randomToken();
  await write({ 'tokens.yaml': tokensFile({ ...members, [guest]: 'guest' }) });
  if (!(await review(client, guest)).authenticated) throw new Error('a new static token is refused');
  await write({ 'tokens.yaml': tokensFile(members) });
  if ((await review(client, guest)).authenticated) throw new Error('a removed static token is let in');
}

/** What a new connection gets. */
async function certificateOf({ url }: Gateway, { client }: Tls): Promise<string | undefined> {
  const socket = connect({
    ...client,
    port: Number(new URL(url).port),
    host: '127.0.0.1',
    ALPNProtocols: ['http/1.1'],
  });
  await once(socket, 'secureConnect');
  const fingerprint = socket.getPeerX509Certificate()?.fingerprint256;
  socket.destroy();
  return fingerprint;
}

/** In turn they end, and answer no more; each recovers before the next one fails. */
async function failInTurn({ slapd, servers, load }: Scene, cycle: number): Promise<void> {
  // While Redis of the cache hangs, a login that needs the lockout guard can't be checked: docs/configuration.md.
  const victims: readonly (readonly [ServerProcess, Fallible])[] = [
    [slapd, 'corp'],
    [servers.tokens, 'robots'],
    [servers.cache, 'corp'],
  ];
  for (const [server, needs] of victims) {
    load.excuse([needs]);
    await (cycle % 2 === 0 ? server.hang() : server.kill());
    await new Promise((resolve) => setTimeout(resolve, outage));
    await server.start();
    await load.recovered();
  }
}

function report({ load: { counts, wrong }, gateway }: Scene, samples: readonly Sample[]): void {
  const figures = samples.map((one) => Object.values(one).map((value) => value.toFixed(1)));
  console.log(markdown(['minute', 'heap MiB', 'memory MiB', 'open files', 'p50 ms', 'p99 ms'], figures, 0));
  const lines = [...counts].map(([name, one]) => [name, ...Object.values(one).map(String)]);
  const unchecked = ['could not be checked: in an outage', 'at other times'];
  console.log(`\n${markdown(['kind of review', 'right', ...unchecked], lines, 1)}`);
  const problems = [...wrong.slice(0, 10), ...judge(samples), ...judgeUnexplained(counts)];
  for (const problem of problems) console.error(`soak: ${problem}`);
  if (wrong.length > 0) console.error(gateway.log().join('\n'));
  console.log(problems.length === 0 ? '\nNo wrong answer; nothing grew.' : `\n${problems.length} problems`);
  if (problems.length > 0) process.exitCode = 1;
}

const { values } = parseArgs({
  args: process.argv.slice(2).filter((word) => word !== '--'),
  options: { minutes: { type: 'string', default: '10' }, gateway: { type: 'string' } },
});
await soak(Number(values.minutes), values.gateway === undefined ? checkout : pathOf(values.gateway));
