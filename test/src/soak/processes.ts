/** The processes of a soak: a gateway that others can take the place of, and the commands of operators. */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { temporaryFolder } from '@sallyport/test-servers/temporary-folder';
import type { BenchGateway } from '../bench/gateway.ts';
import type { Tls } from '../bench/tls.ts';
import { askLogin } from '../testing/ask-login.ts';
import { type Client, http1Client, http2Client } from '../testing/clients.ts';
import { runCommand } from '../testing/command.ts';
import { reviewBody, type TokenReview } from '../testing/token-review.ts';
import type { Replica, World } from './world.ts';

export async function startReplica(
  resources: AsyncDisposableStack,
  number: number,
  tls: Tls,
  start: () => Promise<BenchGateway>,
): Promise<Replica> {
  const { ca: authority, cert: certificate, key } = tls.client;
  const open = async () => {
    const gateway = await start();
    const [first, second] = [http1Client, http2Client].map(
      (make): Client => make(gateway.url, { authority, certificate, key }),
    );
    if (first === undefined || second === undefined) throw new Error('there are two protocols');
    return { gateway, first, second };
  };
  let current = await open();
  const close = async () => {
    for (const client of [current.first, current.second]) client[Symbol.dispose]();
    await current.gateway[Symbol.asyncDispose]();
  };
  resources.defer(close);
  return {
    number,
    get gateway() {
      return current.gateway;
    },
    async review(token, audience, version, isSecond) {
      const client = isSecond ? current.second : current.first;
      const { status, text } = await client.send({ body: reviewBody(token, version, [audience]) });
      if (status !== 200) throw new Error(`the review was answered ${status}`);
      return (JSON.parse(text) as TokenReview).status;
    },
    send: async (body) => (await current.first.send({ body })).status,
    askLogin: (request) => askLogin(current.gateway.loginUrl, request),
    // SIGKILL, and its folder is gone with it: its successor knows nothing of it.
    kill: close,
    async start() {
      current = await open();
    },
  };
}

export async function createOperator(
  resources: AsyncDisposableStack,
  entry: string | undefined,
  files: Readonly<Record<string, string>>,
): Promise<Pick<World, 'run' | 'command'>> {
  const folder = resources.use(await temporaryFolder('operator')).path;
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), content, { mode: 0o600 });
  }
  const gatewayFolder = entry === undefined ? {} : { gatewayFolder: dirname(dirname(entry)) };
  const setup = {
    cwd: folder,
    env: { SALLYPORT_CONFIG: join(folder, 'gateway.yaml') },
    ...gatewayFolder,
  };
  return {
    run: (words) => runCommand(words, setup),
    async command(words) {
      const { code, stderr } = await runCommand(words, setup);
      return stderr.includes('a failover now can undo') ? null : code;
    },
  };
}
