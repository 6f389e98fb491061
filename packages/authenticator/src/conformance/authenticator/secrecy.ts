import type { AskOptions, CaseDefinition, Kit } from '../kit.ts';
import { problemsOf } from '../plugin/options.ts';
import { outcomeOf, verify } from '../verify.ts';
import { alteredTokens, illFormedTokens, nulTokens } from './forged-tokens.ts';

/** Makes a case that searches values for secrets. */
function quietCase(name: string, saidIn: (kit: Kit) => Promise<readonly Said[]>): CaseDefinition {
  async function run(kit: Kit): Promise<void> {
    for (const { place, said } of await saidIn(kit)) kit.mustBeSilent(place, said);
  }
  return { name, run };
}

interface Said {
  readonly place: string;
  readonly said: unknown;
}

/** Provokes everything that the authenticator can say: answers, refusals, errors after an abort and during an outage. */
async function provoke(kit: Kit): Promise<{ thrown: readonly Said[]; decided: readonly Said[] }> {
  const thrown: Said[] = [];
  const decided: Said[] = [];
  const { valid, rejected, foreign } = kit.tokens;
  const authenticator = await kit.create();

  async function askAll(state: string, options?: AskOptions): Promise<void> {
    const forged = valid.flatMap((token) => [
      ...alteredTokens(token),
      ...nulTokens(token),
      ...illFormedTokens(token),
    ]);
    // They are asked concurrently, since each may take its whole deadline.
    const asking = [...valid, ...rejected, ...foreign, ...forged].map(async (named) => {
      const outcome = await kit.outcome(authenticator, named, options);
      const about = `about ${named.name}${state}`;
      if ('value' in outcome) decided.push({ place: `the decision ${about}`, said: outcome.value });
      else thrown.push({ place: `the error ${about}`, said: outcome.error });
    });
    await Promise.all(asking);
  }

  await askAll('');
  await askAll(' with an aborted signal', {
    signal: AbortSignal.abort(new Error('the caller has gone')),
  });
  if (!('none' in kit.harness.backend)) {
    await kit.backend().stop();
    await askAll(' while the backend is stopped');
    const check = await outcomeOf(() => authenticator.check?.(new AbortController().signal));
    if ('error' in check)
      thrown.push({
        place: 'the error of check() while the backend is stopped',
        said: check.error,
      });
  }
  await kit.close(authenticator);
  return { thrown, decided };
}

export const secrecyCases: readonly CaseDefinition[] = [
  quietCase('no error carries a token or a password', async (kit) => (await provoke(kit)).thrown),
  quietCase('what is said against bad options carries no password', (kit) => {
    const refusals = kit.harness.badOptions.map(async (bad) => {
      return { place: `what is said against a bad "${bad.key}"`, said: await problemsOf(kit, bad) };
    });
    return Promise.all(refusals);
  }),
  quietCase(
    'no decision carries a token or a password',
    async (kit) => (await provoke(kit)).decided,
  ),
  quietCase('nothing that is logged carries a token or a password', async (kit) => {
    await provoke(kit);
    const lines = kit.recordings.flatMap((recording) => recording.lines);
    return lines.map((line) => ({ place: `a log line (${line.level})`, said: line }));
  }),
  quietCase('no metric carries a token or a password', async (kit) => {
    await provoke(kit);
    const metrics = kit.recordings.flatMap((recording) => recording.metrics);
    return metrics.map((metric) => ({ place: `the metric ${metric.name}`, said: metric }));
  }),
  {
    name: 'the labels of metrics name no user',
    async run(kit) {
      await provoke(kit);
      const users = kit.harness.validTokens.map(({ user }) => user.username);
      const subjects = kit.harness.rejectedTokens.flatMap(({ subject = [] }) => subject);
      for (const { name, labels } of kit.recordings.flatMap(({ metrics }) => metrics)) {
        const user = [...users, ...subjects].find((one) =>
          labels.some((given) => Object.values(given).includes(one)),
        );
        verify(user === undefined, {
          expected: `the labels of ${name} to be bounded by the config`,
          got: `one of them is "${user}"`,
          why: 'Each user would be a time series, until Prometheus has no memory left.',
        });
      }
    },
  },
];
