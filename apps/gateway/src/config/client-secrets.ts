import { isObject, type Path, type Problem, valueAt } from './problems.ts';
import { type Filled, fillSecrets, type SecretSources, withoutSecrets } from './secrets.ts';

/** Where the client secrets are in a file. */
export const providersPlace: Path = ['login', 'providers'];

type Written = Readonly<Record<string, unknown>>;

/** Fills in `clientSecret` of each provider in `login.providers`. A secret that is missing or written out is a problem. */
export async function fillClientSecrets(
  value: Written,
  sources: SecretSources,
): Promise<Filled<Written>> {
  const { login } = value;
  const providers = isObject(login) ? login.providers : undefined;
  if (!isObject(login) || !isObject(providers))
    return { value, problems: [], warnings: [], files: [], secrets: [] };
  const parts = await Promise.all(
    Object.entries(providers).map(async ([name, written]) => {
      if (!isObject(written) || written.clientSecret === undefined)
        return { name, value: written, filled: undefined };
      const { clientSecret } = written;
      const filled = await fillSecrets({ clientSecret }, [...providersPlace, name], sources);
      return { name, value: { ...written, ...Object(filled.value) }, filled };
    }),
  );
  const filled = parts.flatMap((one) => one.filled ?? []);
  const writtenOut = Object.keys(providers)
    .map((name) => [...providersPlace, name, 'clientSecret'])
    .filter((path) => typeof valueAt(value, path) === 'string');
  const all = Object.fromEntries(parts.map((one) => [one.name, one.value]));
  return {
    value: { ...value, login: { ...login, providers: all } },
    problems: [...filled.flatMap(({ problems }) => problems), ...writtenOut.map(notInFile)],
    warnings: filled.flatMap(({ warnings }) => warnings),
    files: filled.flatMap(({ files }) => files),
    secrets: [
      ...filled.flatMap(({ secrets }) => secrets),
      ...writtenOut.map((path) => String(valueAt(value, path))),
    ],
  };
}

function notInFile(path: Path): Problem {
  return {
    path,
    message: 'is a secret, which must not be in this file',
    fix: `write { file: secrets/${String(path[providersPlace.length])} } or { env: CLIENT_SECRET }`,
  };
}

/** Adds the problems of secrets at a place of the file, without those that only follow from them. */
export function withProblemsOf(
  place: Path,
  problems: readonly Problem[],
  filled: Filled,
): Problem[] {
  const isWithin = ({ path }: Problem) => place.every((step, index) => path[index] === step);
  return [
    ...problems.filter((problem) => !isWithin(problem)),
    ...withoutSecrets(
      problems.filter(isWithin),
      filled,
      'is refused; the reason is hidden because it contains a secret',
    ),
    ...filled.problems,
  ];
}
