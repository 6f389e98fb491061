import type { Authenticator } from '../authenticator.ts';
import { alteredTokens, illFormedTokens, nulTokens } from './hostile.ts';
import type { AskOptions, CaseDefinition, Kit } from './kit.ts';
import { secretFinder } from './leaks.ts';
import { complaintAbout } from './options.ts';
import { outcomeOf, verify } from './verdict.ts';

const errorsQuiet: CaseDefinition = {
  name: 'no error carries a token or a password',
  async run(kit) {
    const { thrown } = await provoke(kit);
    for (const { when, said } of thrown) silent(kit, `the error ${when}`, said);
  },
};

const badOptionsQuiet: CaseDefinition = {
  name: 'what is said against bad options carries no password',
  async run(kit) {
    for (const bad of kit.harness.badOptions) {
      silent(kit, `what is said against a bad "${bad.key}"`, await complaintAbout(kit, bad));
    }
  },
};

const decisionsQuiet: CaseDefinition = {
  name: 'no decision carries a token or a password',
  async run(kit) {
    const { decided } = await provoke(kit);
    for (const { when, said } of decided) silent(kit, `the decision ${when}`, said);
  },
};

const logsQuiet: CaseDefinition = {
  name: 'nothing that is logged carries a token or a password',
  async run(kit) {
    await provoke(kit);
    for (const line of kit.recordings.flatMap(({ lines }) => lines)) silent(kit, `a log line (${line.level})`, line);
  },
};

const metricsQuiet: CaseDefinition = {
  name: 'no metric carries a token or a password',
  async run(kit) {
    await provoke(kit);
    for (const metric of kit.recordings.flatMap(({ metrics }) => metrics))
      silent(kit, `the metric ${metric.name}`, metric);
  },
};

const labelsBounded: CaseDefinition = {
  name: 'the labels of metrics name no user',
  async run(kit) {
    await provoke(kit);
    const users = kit.harness.validTokens.map(({ user }) => user.username);
    const subjects = kit.harness.rejectedTokens.flatMap(({ subject = [] }) => subject);
    for (const { name, labels } of kit.recordings.flatMap(({ metrics }) => metrics)) {
      const user = [...users, ...subjects].find((one) => labels.some((given) => Object.values(given).includes(one)));
      verify(user === undefined, {
        expected: `the labels of ${name} to be bounded by the config`,
        got: `one of them is "${user}"`,
        why: 'Each user would be a time series, until Prometheus has no memory left.',
      });
    }
  },
};

function silent(kit: Kit, place: string, said: unknown): void {
  const found = secretFinder(kit.secrets).find(said);
  verify(found.length === 0, {
    expected: `${place} to carry no secret`,
    got: `${found.join(' and ')} is in it, as it is or encoded`,
    why: 'It reaches logs, and people who may read logs but must not act as these users.',
  });
}

interface Said {
  readonly when: string;
  readonly said: unknown;
}

/** Provokes everything that the authenticator can say: answers, refusals, errors after an abort and during an outage. */
async function provoke(kit: Kit): Promise<{ thrown: readonly Said[]; decided: readonly Said[] }> {
  const thrown: Said[] = [];
  const decided: Said[] = [];
  const { valid, rejected, foreign } = kit.tokens;
  const authenticator = await kit.create();

  async function askAll(state: string, options?: AskOptions): Promise<void> {
    const hostile = valid.flatMap((token) => [...alteredTokens(token), ...nulTokens(token), ...illFormedTokens(token)]);
    // All at once, since each may take its whole deadline.
    const asking = [...valid, ...rejected, ...foreign, ...hostile].map(async (named) => {
      const outcome = await kit.outcome(authenticator, named, options);
      const when = `about ${named.name}${state}`;
      if ('value' in outcome) decided.push({ when, said: outcome.value });
      else thrown.push({ when, said: outcome.error });
    });
    await Promise.all(asking);
  }

  await askAll('');
  await askAll(' with an aborted signal', { signal: AbortSignal.abort(new Error('the caller has gone')) });
  if (!('none' in kit.harness.backend)) {
    await kit.backend().stop();
    await askAll(' while the backend is stopped');
    const check = await outcomeOf(() => checkOf(authenticator));
    if ('error' in check) thrown.push({ when: 'of check() while the backend is stopped', said: check.error });
  }
  await kit.close(authenticator);
  return { thrown, decided };
}

async function checkOf(authenticator: Authenticator): Promise<void> {
  await authenticator.check?.(new AbortController().signal);
}

export const secrecyCases: readonly CaseDefinition[] = [
  errorsQuiet,
  badOptionsQuiet,
  decisionsQuiet,
  logsQuiet,
  metricsQuiet,
  labelsBounded,
];
