import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { readTokenAuthFile } from './token-auth-file.ts';
import { readTokensFile } from './tokens-file.ts';

const digests = Array.from({ length: 100_000 }, () => randomBytes(32).toString('hex'));

function tokensFile(count: number): Buffer {
  const entries = digests
    .slice(0, count)
    .map(
      (digest, index) =>
        `  - sha256: ${digest}\n    username: robot-${index}\n    groups: [robots, team-${index % 50}]\n`,
    );
  return Buffer.from(`tokens:\n${entries.join('')}`);
}

function tokenAuthFile(count: number): Buffer {
  const rows = digests
    .slice(0, count)
    .map((token, index) => `${token},robot-${index},${index},"robots,team-${index % 50}"\n`);
  return Buffer.from(rows.join(''));
}

/** Measures the milliseconds that `work` takes, and the maximum time for which nothing else got its turn. */
async function measure(work: () => Promise<unknown>): Promise<{ total: number; blocked: number }> {
  const start = performance.now();
  let [last, blocked] = [start, 0];
  const look = () => {
    const now = performance.now();
    [last, blocked] = [now, Math.max(blocked, now - last)];
    turn = setImmediate(look);
  };
  let turn = setImmediate(look);
  await work();
  clearImmediate(turn);
  look();
  clearImmediate(turn);
  return { total: last - start, blocked };
}

test.each([
  ['YAML', readTokensFile, tokensFile],
  ['CSV', readTokenAuthFile, tokenAuthFile],
])('100,000 tokens load from %s in less than 10 s', async (format, read, write) => {
  const few = await measure(() => read('file', write(1_000)));
  const many = await measure(() => read('file', write(100_000)));
  const [first, second, third] = [few.total, many.total, many.blocked].map((milliseconds) =>
    milliseconds.toFixed(0),
  );
  console.log(
    `${format}: 1,000 tokens in ${first} ms, 100,000 in ${second} ms, at most ${third} ms at a stretch`,
  );
  expect(many.total).toBeLessThan(10_000);
});
