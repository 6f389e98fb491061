import type { AskOptions, CaseDefinition, Kit } from '../kit.ts';
import { findProblems } from '../plugin/options.ts';
import { catchOutcome, verify } from '../verify.ts';
import { alteredTokens, illFormedTokens, nulTokens } from './forged-tokens.ts';

/** Makes a case that searches values for secrets. */
function quietCase(
  name: string,
  collectOutput: (kit: Kit) => Promise<readonly PluginOutput[]>,
): CaseDefinition {
  async function run(kit: Kit): Promise<void> {
    for (const { place, output } of await collectOutput(kit)) kit.mustBeSilent(place, output);
  }
  return { name, run };
}

interface PluginOutput {
  readonly place: string;
  readonly output: unknown;
}

/** Provokes everything that the authenticator can say: answers, refusals, errors after an abort and during an outage. */
async function provoke(
  kit: Kit,
): Promise<{ thrown: readonly PluginOutput[]; decided: readonly PluginOutput[] }> {
  const thrown: PluginOutput[] = [];
  const decided: PluginOutput[] = [];
  const { valid, rejected, foreign } = kit.tokens;
  const authenticator = await kit.create();

  async function askAll(state: string, options?: AskOptions): Promise<void> {
    const forged = valid.flatMap((token) => [
      ...alteredTokens(token),
      ...nulTokens(token),
      ...illFormedTokens(token),
    ]);
    // They are asked concurrently, since each may take its whole deadline.
    const questions = [...valid, ...rejected, ...foreign, ...forged].map(async (named) => {
      const outcome = await kit.outcome(authenticator, named, options);
      const about = `about ${named.name}${state}`;
      if ('value' in outcome)
        decided.push({ place: `the decision ${about}`, output: outcome.value });
      else thrown.push({ place: `the error ${about}`, output: outcome.error });
    });
    await Promise.all(questions);
  }

  await askAll('');
  await askAll(' with an aborted signal', {
    signal: AbortSignal.abort(new Error('the caller has gone')),
  });
  if (!('none' in kit.harness.backend)) {
    await kit.backend().stop();
    await askAll(' while the backend is stopped');
    const check = await catchOutcome(() => authenticator.check?.(new AbortController().signal));
    if ('error' in check)
      thrown.push({
        place: 'the error of check() while the backend is stopped',
        output: check.error,
      });
  }
  await kit.close(authenticator);
  return { thrown, decided };
}

export const secrecyCases: readonly CaseDefinition[] = [
  quietCase('no error carries a token or a password', async (kit) => (await provoke(kit)).thrown),
  quietCase('what is said against bad options carries no password', (kit) => {
    const refusals = kit.harness.badOptions.map(async (badOption) => {
      return {
        place: `what is said against a bad "${badOption.key}"`,
        output: await findProblems(kit, badOption),
      };
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
    return lines.map((line) => ({ place: `a log line (${line.level})`, output: line }));
  }),
  quietCase('no metric carries a token or a password', async (kit) => {
    await provoke(kit);
    const metrics = kit.recordings.flatMap((recording) => recording.metrics);
    return metrics.map((metric) => ({ place: `the metric ${metric.name}`, output: metric }));
  }),
  {
    name: 'the labels of metrics name no user',
    async run(kit) {
      await provoke(kit);
      const users = kit.harness.validTokens.map(({ user }) => user.username);
      const subjects = kit.harness.rejectedTokens.flatMap(({ subject = [] }) => subject);
      for (const { name, labels } of kit.recordings.flatMap(({ metrics }) => metrics)) {
        const user = [...users, ...subjects].find((username) =>
          labels.some((labelValues) => Object.values(labelValues).includes(username)),
        );
        verify(user === undefined, {
          expected: `the labels of ${name} to be bounded by the config`,
          actual: `one of them is "${user}"`,
          rationale: 'Each user would be a time series, until Prometheus has no memory left.',
        });
      }
    },
  },
];
