/**
 * Logs in very many times through one authenticator, against a real OpenLDAP over TLS, and watches what stays behind:
 * memory in use after a garbage collection, and sockets.
 *
 * `node --expose-gc soak/run.ts [LOGINS]`, 100,000 by default. Progress goes to standard error, the result as one line of
 * JSON to standard output. Exit status 1: an answer was wrong, or memory grew.
 */
import { performance } from 'node:perf_hooks';
import { startSlapd } from '@sallyport/test-servers/slapd';
import { createAuthenticator, fillDirectory, type PlannedLogin, wordsOf } from './logins.ts';

const logins = Number(process.argv[2] ?? 100_000);
if (!Number.isSafeInteger(logins) || logins < 100) throw new Error('usage: run.ts [LOGINS], 100 or more');

/** At one time, as a busy API server asks. */
const concurrency = 16;

/** The first part makes what is made once: pools, compiled code, caches of Node. */
const warmUp = Math.ceil(logins / 5);

/** Bytes that may stay whatever the count of logins: the figure itself wavers by some 100 KB. */
const allowedGrowth = 2 * 1024 * 1024;

const deadline = 60_000;

await using slapd = await startSlapd({ countsOperations: false });
const planned = await fillDirectory(slapd);
const authenticator = await createAuthenticator(slapd);
const begin = performance.now();
const wrong = new Map<string, number>();
let done = 0;

await logInUntil(warmUp);
const heapBefore = await heapInUse();
await logInUntil(logins);
const heapAfter = await heapInUse();
const perSecond = Math.round(logins / ((performance.now() - begin) / 1000));
await authenticator.close();
const socketsLeft = await socketsAfterClose();

const grown = heapAfter - heapBefore;
console.log(
  JSON.stringify({ logins, wrong: [...wrong], heapBefore, heapAfter, grown, allowedGrowth, socketsLeft, perSecond }),
);
if (wrong.size > 0 || grown > allowedGrowth || socketsLeft > 0) process.exitCode = 1;

async function logInUntil(end: number): Promise<void> {
  let next = done;
  const worker = async () => {
    for (let index = next++; index < end; index = next++) {
      await logIn(planned[index % planned.length] as PlannedLogin);
      done += 1;
      if (done % 5_000 === 0) console.error(`${done} of ${logins} logins`);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
}

async function logIn({ token, expected }: PlannedLogin): Promise<void> {
  const context = { audiences: [], signal: AbortSignal.timeout(deadline) };
  const came = await Promise.resolve(authenticator.authenticate(token, context)).then(wordsOf, String);
  if (came === expected) return;
  const complaint = `expected ${expected}, came ${came}`;
  wrong.set(complaint, (wrong.get(complaint) ?? 0) + 1);
}

/** What the last logins left is let go in the turns after them, and by finalizers, which run between collections. */
async function heapInUse(): Promise<number> {
  if (globalThis.gc === undefined) throw new Error('start me with --expose-gc');
  for (let pass = 0; pass < 10; pass += 1) {
    globalThis.gc();
    await new Promise((resolve) => setImmediate(resolve));
  }
  return process.memoryUsage().heapUsed;
}

/** Closed sockets are gone some turns of the event loop later. */
async function socketsAfterClose(): Promise<number> {
  const count = () => process.getActiveResourcesInfo().filter((name) => /^(TCP|TLS)(Socket)?Wrap$/.test(name)).length;
  const end = performance.now() + 5_000;
  while (count() > 0 && performance.now() < end) await new Promise((resolve) => setImmediate(resolve));
  return count();
}
