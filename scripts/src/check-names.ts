/**
 * Counts the variables and parameters whose names do not say what they hold, in each folder of the gateway and in each
 * package: `pnpm names`. It fails for such a name that is not in `exceptions`, and for more functions named `…Of` than
 * `maxFunctionsInOf`. `pnpm names PATH` lists those below a path. Tests and test support are left out.
 */
import { globSync, readFileSync } from 'node:fs';
import { type Declaration, endsInOf, isVague, readDeclaredNames } from './name-count.ts';

/** Names on the list that read well where they are, each with the path below which they may be declared. */
const exceptions: readonly { readonly name: string; readonly below: string }[] = [
  // The time of an event or a document, and who did it: fields of reports, of the audit trail, and of the status page's JSON.
  { name: 'at', below: 'apps/gateway/src/observe/' },
  { name: 'by', below: 'apps/gateway/src/observe/audit/' },
];

const maxFunctionsInOf = 20;

interface Place extends Declaration {
  readonly path: string;
}

const isException = ({ path, name }: Place) =>
  exceptions.some((exception) => exception.name === name && path.startsWith(exception.below));

const readRoom = (path: string) =>
  (/^apps\/gateway\/src\/[^/]+(?=\/)|^[^/]+\/[^/]+/.exec(path) as RegExpExecArray)[0];

const paths = globSync('{apps,packages}/*/src/**/*.{ts,js}')
  .filter((path) => !/[.](test|load|d)[.]ts$|\/testing\//.test(path))
  .toSorted();
const declarations = paths.flatMap((path) => {
  const { variables, functions } = readDeclaredNames(path, readFileSync(path, 'utf8'));
  const place = (declaration: Declaration): Place => ({ ...declaration, path });
  return { room: readRoom(path), variables: variables.map(place), functions: functions.map(place) };
});
const byRoom = Map.groupBy(declarations, ({ room }) => room);

console.log(
  '| room | variables and parameters | of them vague | share | functions named …Of |\n| --- | ---: | ---: | ---: | ---: |',
);
for (const [room, files] of [...byRoom, ['all', declarations] as const]) {
  const variables = files.flatMap((file) => file.variables);
  const functions = files.flatMap((file) => file.functions);
  const vague = variables.filter(isVague).length;
  const share = ((100 * vague) / variables.length).toFixed(1);
  console.log(
    `| ${room} | ${variables.length} | ${vague} | ${share} % | ${functions.filter(endsInOf).length} |`,
  );
}

const [below] = process.argv.slice(2);
const vague = declarations.flatMap(({ variables }) => variables).filter(isVague);
const inOf = declarations.flatMap(({ functions }) => functions).filter(endsInOf);
const refused = [
  ...vague.filter((place) => !isException(place)),
  ...(inOf.length > maxFunctionsInOf ? inOf : []),
];
const listed =
  below === undefined ? refused : [...vague, ...inOf].filter(({ path }) => path.startsWith(below));
for (const { path, line, name } of listed) console.log(`${path}:${line} ${name}`);
if (refused.length > 0) {
  console.error(
    `${refused.length} names do not say what they hold: name a variable after what it holds, and begin a function with a verb (CONTRIBUTING.md, "Names").`,
  );
  process.exitCode = 1;
}
