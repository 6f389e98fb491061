import { randomBytes } from 'node:crypto';
import type { IssuerUses } from '@sallyport/authenticator';
import {
  findLuaProblem,
  knownMasters,
  type Redis,
  type RedisClient,
  RedisProblem,
  readInfo,
} from '@sallyport/redis-connection';
import { ignoreMoved, type Store } from '../store.ts';
import { lossRisks } from './loss-risks.ts';

/**
 * Tries the commands that tokens are created, listed and revoked with, on a record that does not exist.
 *
 * @returns why revocations or tokens may be lost
 * @throws RedisProblem when the user may not do what is needed
 */
export async function checkIssuer(
  { sessions }: IssuerUses,
  store: Store,
  tracksLastUse: boolean,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const { connection } = store;
  const tryAll = async (client: RedisClient) => {
    const nodes = await knownMasters(client);
    await Promise.all(nodes.map((node) => tryRights(node, store, { sessions, tracksLastUse })));
    return (await Promise.all(nodes.map(mayAskReplicas))).every(Boolean);
  };
  const asksReplicas = await connection.run(tryAll, signal);
  const recordKind = sessions ? 'sessions' : 'tokens';
  const lua = await connection.run(findLuaProblem, signal);
  return [
    ...(lua ? [`${lua.detail}: ${lua.fix}`] : []),
    ...(asksReplicas ? [] : [unconfirmed]),
    ...(await connection.run(readInfo, signal).then(
      (servers) => [...new Set(servers.flatMap((server) => lossRisks(server, recordKind)))],
      (error: unknown) => {
        if (!(error instanceof RedisProblem) || error.kind !== 'permission') throw error;
        return [
          `INFO failed, so it is unknown whether this Redis keeps its ${recordKind}: ${error.message}`,
        ];
      },
    )),
  ];
}

const unconfirmed =
  'without the rights to ROLE and WAIT no one learns whether a replica has a revocation: a failover can undo it. ' +
  'If this Redis has replicas, add +role +wait';

async function tryRights(
  node: Redis,
  { keys, layout }: Store,
  { sessions, tracksLastUse }: IssuerUses & { readonly tracksLastUse: boolean },
): Promise<void> {
  const digest = randomBytes(32).toString('hex');
  const key = keys.record(digest);
  const index = keys.userSessions(digest);
  const answers: readonly Promise<unknown>[] = [
    node.scan('0', 'MATCH', keys.pattern(digest), 'COUNT', 1),
    node.call(...layout.query(key)),
    node.pttl(key),
    node.echo(key),
    node.eval(layout.tryWrites, 1, key),
    ...(tracksLastUse ? [node.getrange(keys.lastUse(digest), 0, 0)] : []),
    // XX adds nothing.
    ...(sessions
      ? [node.zadd(index, 'XX', 0, digest), node.zrange(index, '0', '0'), node.zrem(index, digest)]
      : []),
  ];
  await Promise.all(answers.map((answer) => answer.catch(ignoreMoved)));
}

/** Whether the user may ask replicas. Servers that others run may lack these commands. */
async function mayAskReplicas(node: Redis): Promise<boolean> {
  try {
    await Promise.all([node.role(), node.wait(0, 1)]);
    return true;
  } catch (error) {
    if (/\bNOPERM\b|\bunknown command\b/.test(String(error))) return false;
    throw error;
  }
}
