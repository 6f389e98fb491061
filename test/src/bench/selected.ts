import type { Contender } from './contender.ts';
import { contenders } from './contenders.ts';
import type { Options } from './options.ts';

/** A contender with its name in this run, and the gateway that it starts. */
interface Selected {
  readonly name: string;
  readonly contender: Contender;
  readonly entry: string;
}

/** Selects the contenders of `--only`, each once for each gateway, or for the named ones. */
export function selected({ only, entries }: Pick<Options, 'only' | 'entries'>): Selected[] {
  const all = contenders.flatMap((contender) => {
    const versions = contender.isGateway ? [...entries] : [['', ''] as const];
    return versions.map(([version, entry]) => ({
      name: version === '' ? contender.name : `${contender.name}@${version}`,
      contender,
      entry,
    }));
  });
  return all.filter(
    ({ name, contender }) =>
      only === undefined || only.includes(name) || only.includes(contender.name),
  );
}
