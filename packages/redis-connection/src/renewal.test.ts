import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { createAuthority, type KeyPair } from '@sallyport/test-servers/certificates';
import { listenForNoise } from '@sallyport/test-servers/noise';
import { type RedisServer, startRedis } from '@sallyport/test-servers/redis';
import { clientsOf } from '@sallyport/test-servers/redis-clients';
import { temporaryFolder } from '@sallyport/test-servers/temporary-folder';
import { waitUntil } from '@sallyport/test-servers/wait-until';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { content, type Opened, open, outcomeOf, storeKey } from '../fixtures/opened.ts';

let redis: RedisServer;
let key: string;
beforeAll(async () => {
  redis = await startRedis({ requiresClientCertificate: true });
  key = await storeKey(redis);
});
afterAll(() => redis?.[Symbol.asyncDispose]());

/** A connection with files that can be written anew. */
async function startWithFiles(commandTimeout = '1s') {
  const folder = await temporaryFolder('renewal');
  const file = (name: string) => path.join(folder.path, name);
  const writeCa = (...certificates: readonly string[]) => writeFile(file('ca.crt'), certificates.join(''));
  const writePair = async ({ certificate, key }: KeyPair) => {
    await writeFile(file('client.crt'), certificate);
    await writeFile(file('client.key'), key);
  };
  await writeCa(redis.authority.certificate);
  await writePair(await redis.authority.issueClient('first'));
  const files = { caFile: file('ca.crt'), certFile: file('client.crt'), keyFile: file('client.key') };
  const started = await open({ url: redis.tlsUrl, ...files, commandTimeout });
  onTestFinished(async () => {
    await started[Symbol.asyncDispose]();
    await folder[Symbol.asyncDispose]();
  });
  return { ...started, writeCa, writePair };
}

/** Reads over and over, many at a time, until it is told to stop. @returns what came of it, each kind once */
function keepAsking({ read }: Opened): () => Promise<ReadonlySet<string>> {
  const outcomes = new Set<string>();
  let isOver = false;
  const asking = Array.from({ length: 20 }, async () => {
    while (!isOver) outcomes.add(await outcomeOf(read(key)));
  });
  return async () => {
    isOver = true;
    await Promise.all(asking);
    return outcomes;
  };
}

const idsOf = async () => (await clientsOf(redis)).map((line) => /^id=(\d+) /.exec(line)?.[1]);
const untilOthers = (old: readonly unknown[], count = 1) =>
  waitUntil(async () => {
    const ids = await idsOf();
    return ids.length === count && !ids.some((id) => old.includes(id));
  }, 'a new connection alone');

describe('renewed TLS files', () => {
  test('make a new connection, and no read is lost on the way from the old one', async () => {
    await using other = await createAuthority();
    const noise = listenForNoise();
    const started = await startWithFiles();
    expect(await outcomeOf(started.read(key))).toBe(content);
    const stop = keepAsking(started);
    for (const more of [other.certificate, '']) {
      const before = await idsOf();
      await started.writeCa(redis.authority.certificate, more);
      expect(await started.touch()).toEqual([]);
      await untilOthers(before);
    }
    expect(await stop()).toEqual(new Set([content]));
    expect(started.values.get('connected')).toBe(1);
    expect([...started.values.keys()].filter((name) => name.startsWith('faults_total'))).toEqual([]);
    expect(started.lines.filter(({ level }) => level !== 'info')).toEqual([]);
    expect(noise).toEqual([]);
  });

  test('of an authority that does not sign the server are an outage that says so, until they are mended', async () => {
    await using other = await createAuthority();
    const started = await startWithFiles('3s');
    await started.writeCa(other.certificate);
    await started.touch();
    await waitUntil(async () => (await outcomeOf(started.read(key))) === 'problem', 'the new authority to hold');
    await expect(started.read(key)).rejects.toThrow(/not connected: .* put the certificate of that CA into caFile/);
    await waitUntil(() => started.values.get('connected') === 0, 'the metric to tell');
    await started.writeCa(other.certificate, redis.authority.certificate);
    await started.touch();
    await waitUntil(async () => (await outcomeOf(started.read(key))) === content, 'a value');
    await waitUntil(() => started.values.get('connected') === 1, 'the metric to tell');
    const told = started.lines.filter(({ message }) => /Redis/.test(message)).map(({ level }) => level);
    expect(told).toEqual(['info', 'warn', 'info']);
  });

  test('of the client make a new connection once both are there', async () => {
    const started = await startWithFiles();
    const before = await idsOf();
    const stop = keepAsking(started);
    await started.writePair(await redis.authority.issueClient('second'));
    await started.touch();
    await untilOthers(before);
    expect(await stop()).toEqual(new Set([content]));
  });

  test('that can not be used change nothing', async () => {
    const started = await startWithFiles('3s');
    const before = await idsOf();
    const stop = keepAsking(started);
    expect(await started.touch(Buffer.from('garbage'))).toHaveLength(3);
    expect(await outcomeOf(started.read(key))).toBe(content);
    expect(await stop()).toEqual(new Set([content]));
    expect(await idsOf()).toEqual(before);
  });

  test('that change many times in a moment leave one connection', async () => {
    const started = await startWithFiles('3s');
    const before = await idsOf();
    const stop = keepAsking(started);
    for (let count = 0; count < 10; count += 1) await started.touch();
    await untilOthers(before);
    expect(await stop()).toEqual(new Set([content]));
    expect(started.values.get('connected')).toBe(1);
  });

  test('leave no connection when the connection is closed amid it', async () => {
    const started = await startWithFiles();
    await started.touch();
    await started.connection.close();
    await started.connection.close();
    await started.touch();
    await waitUntil(async () => (await idsOf()).length === 0, 'all connections to end');
    expect(await outcomeOf(started.read(key))).toBe('problem');
  });
});
