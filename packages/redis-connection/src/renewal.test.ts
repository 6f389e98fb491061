import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { createAuthority, type KeyPair } from '@sallyport/test-servers/certificates';
import { listenForNoise } from '@sallyport/test-servers/noise';
import { clientsOf } from '@sallyport/test-servers/redis-command-calls';
import { redisForFile } from '@sallyport/test-servers/redis-for-file';
import { temporaryFolder } from '@sallyport/test-servers/temporary-folder';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { describe, expect, onTestFinished, test } from 'vitest';
import { content, type Opened, open, outcomeOf, storeKey } from './testing/opened.ts';

const redis = await redisForFile({ requiresClientCertificate: true });
const key = await storeKey(redis);

/** A connection with files that the test can rewrite. */
async function startWithFiles(commandTimeout = '1s') {
  const folder = await temporaryFolder('renewal');
  const file = (name: string) => path.join(folder.path, name);
  const writeCa = (...certificates: readonly string[]) =>
    writeFile(file('ca.crt'), certificates.join(''));
  const writePair = async ({ certificate, key }: KeyPair) => {
    await writeFile(file('client.crt'), certificate);
    await writeFile(file('client.key'), key);
  };
  await writeCa(redis.authority.certificate);
  await writePair(await redis.authority.issueClient('first'));
  const files = {
    caFile: file('ca.crt'),
    certFile: file('client.crt'),
    keyFile: file('client.key'),
  };
  const started = await open({ url: redis.tlsUrl, ...files, commandTimeout });
  onTestFinished(async () => {
    await started[Symbol.asyncDispose]();
    await folder[Symbol.asyncDispose]();
  });
  return { ...started, writeCa, writePair };
}

/** Reads again and again, many at a time. @returns a function that stops it and returns the distinct outcomes */
function keepAsking({ read }: Opened): () => Promise<ReadonlySet<string>> {
  const outcomes = new Set<string>();
  let isOver = false;
  const asking = Array.from({ length: 5 }, async () => {
    while (!isOver) outcomes.add(await outcomeOf(read(key)));
  });
  return async () => {
    isOver = true;
    await Promise.all(asking);
    return outcomes;
  };
}

const idOf = (client: string) => /^id=(\d+) /.exec(client)?.[1];
const idsOf = async () => (await clientsOf(redis)).map(idOf);
/** The old connection stays for `commandTimeout`. No test must keep the processor busy for so long. */
const untilUsed = (old: readonly unknown[]) =>
  waitFor(
    async () =>
      (await clientsOf(redis)).some((line) => !old.includes(idOf(line)) && / cmd=echo /.test(line)),
    'reads over a new connection',
  );
const untilOthers = (old: readonly unknown[], count = 1) =>
  waitFor(async () => {
    const ids = await idsOf();
    return ids.length === count && !ids.some((id) => old.includes(id));
  }, 'a new connection alone');

describe('renewed TLS files', () => {
  test('make a new connection, and no read is lost during the change', async () => {
    await using other = await createAuthority();
    const noise = listenForNoise();
    const started = await startWithFiles('30s');
    expect(await outcomeOf(started.read(key))).toBe(content);
    const stop = keepAsking(started);
    for (const more of [other.certificate, '']) {
      const before = await idsOf();
      await started.writeCa(redis.authority.certificate, more);
      expect(await started.touch()).toEqual([]);
      await untilUsed(before);
    }
    expect(await stop()).toEqual(new Set([content]));
    expect(started.values.get('connected')).toBe(1);
    expect([...started.values.keys()].filter((name) => name.startsWith('errors_total'))).toEqual(
      [],
    );
    expect(started.lines.filter(({ level }) => level !== 'info')).toEqual([]);
    expect(noise).toEqual([]);
  });

  test('of a wrong authority are an outage with that reason, until they are fixed', async () => {
    await using other = await createAuthority();
    const started = await startWithFiles('3s');
    await started.writeCa(other.certificate);
    await started.touch();
    await waitFor(
      async () => (await outcomeOf(started.read(key))) === 'problem',
      'the new authority to be used',
    );
    await expect(started.read(key)).rejects.toThrow(
      /not connected: .* put the certificate of that CA into caFile/,
    );
    await waitFor(() => started.values.get('connected') === 0, 'the metric to change');
    await started.writeCa(other.certificate, redis.authority.certificate);
    await started.touch();
    await waitFor(async () => (await outcomeOf(started.read(key))) === content, 'a value');
    await waitFor(() => started.values.get('connected') === 1, 'the metric to change');
    const levels = started.lines
      .filter(({ message }) => /Redis/.test(message))
      .map(({ level }) => level);
    expect(levels).toEqual(['info', 'warn', 'info']);
  });

  test('of the client make a new connection once both exist, and the old one ends', async () => {
    const started = await startWithFiles('3s');
    const before = await idsOf();
    const stop = keepAsking(started);
    await started.writePair(await redis.authority.issueClient('second'));
    await started.touch();
    await untilUsed(before);
    expect(await stop()).toEqual(new Set([content]));
    await untilOthers(before);
    expect(await outcomeOf(started.read(key))).toBe(content);
  });

  test('that are invalid change nothing', async () => {
    const started = await startWithFiles('3s');
    const before = await idsOf();
    const stop = keepAsking(started);
    expect(await started.touch(Buffer.from('garbage'))).toHaveLength(3);
    expect(await outcomeOf(started.read(key))).toBe(content);
    expect(await stop()).toEqual(new Set([content]));
    expect(await idsOf()).toEqual(before);
  });

  test('that change many times in one moment leave one connection', async () => {
    const started = await startWithFiles('3s');
    const before = await idsOf();
    const stop = keepAsking(started);
    for (let count = 0; count < 10; count += 1) await started.touch();
    await untilUsed(before);
    expect(await stop()).toEqual(new Set([content]));
    await untilOthers(before);
    expect(await outcomeOf(started.read(key))).toBe(content);
    expect(started.values.get('connected')).toBe(1);
  });

  test('leave no connection when it is closed at the same time', async () => {
    const started = await startWithFiles();
    await started.touch();
    await started.connection.close();
    await started.connection.close();
    await started.touch();
    await waitFor(async () => (await idsOf()).length === 0, 'all connections to end');
    expect(await outcomeOf(started.read(key))).toBe('problem');
  });
});
