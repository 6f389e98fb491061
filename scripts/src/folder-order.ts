import type { IForbiddenRuleType } from 'dependency-cruiser';

/** The order of one source folder. */
export interface FolderOrder {
  /** The source folder, such as `apps/gateway/src`. */
  readonly source: string;
  /** The rows from the top. Each has the folders and files that are next to each other. */
  readonly rows: readonly (readonly string[])[];
}

const pictures = /^```folders\n(.*?)^```$/gms;

/** The name for all files of the source folder itself that no row names. */
export const otherFiles = '*.ts';

/** The folder that all tests of a package share. It is in no row: tests of every row import it, and it imports what they test. */
const testSupport = '/src/testing/';

/** The files that may import test support: tests, test support of a folder, and programs that only developers run. */
const ofTests = [
  '[.](test|load)[.]ts$',
  '/(testing|bench)/',
  '^(test|test-docs|test-servers|scripts)/',
];

const howToFix =
  'Imports go down in the pictures of docs/contributing/architecture.md, "The order of the folders".';

/**
 * Makes the rules for imports from the pictures in a Markdown text: a file imports from its own folder, and from the
 * rows below. Imports of types count, and so do those of tests.
 *
 * @throws Error when there is no picture
 */
export function rulesOfFolders(markdown: string): IForbiddenRuleType[] {
  const sources = readPictures(markdown);
  return [
    {
      name: 'cycle',
      severity: 'error',
      comment: 'These files import each other.',
      from: {},
      to: { circular: true },
    },
    {
      name: 'test support in what runs',
      severity: 'error',
      comment: 'Only tests import what is in testing/.',
      from: { pathNot: ofTests },
      to: { path: '/testing/' },
    },
    {
      name: 'no picture of these folders',
      severity: 'error',
      comment: howToFix,
      from: {
        path: '/src/[^/]+/',
        pathNot: [testSupport, ...sources.map(({ source }) => under(source))],
      },
      to: {},
    },
    ...sources.flatMap(rulesOfSource),
  ];
}

/** Finds the pictures. @throws Error when there is none: then no import would be against the rules */
export function readPictures(markdown: string): FolderOrder[] {
  const found = [...markdown.matchAll(pictures)].flatMap(([, picture = '']) =>
    picture.split(/^(?=\S)/m),
  );
  if (found.length === 0)
    throw new Error('no picture of folders was found: it is a code block named "folders"');
  return found.map((picture) => {
    const [source = '', ...rows] = picture.trimEnd().split('\n');
    return { source, rows: rows.map((row) => row.trim().split(/\s+/)) };
  });
}

function rulesOfSource({ source, rows }: FolderOrder): IForbiddenRuleType[] {
  const all = rows.flat();
  const paths = (names: readonly string[]) => names.map((name) => pathOf(source, name, all));
  const arrowsUp = rows.flatMap((row, index) =>
    row.map((name): IForbiddenRuleType => {
      const allowed = [testSupport, ...paths([name, ...rows.slice(index + 1).flat()])];
      return {
        name: `arrow up from ${source}/${name}`,
        severity: 'error',
        comment: howToFix,
        from: { path: pathOf(source, name, all) },
        to: { path: under(source), pathNot: allowed },
      };
    }),
  );
  const place: IForbiddenRuleType = {
    name: `no place in the picture of ${source}`,
    severity: 'error',
    comment: howToFix,
    from: { path: under(source), pathNot: [testSupport, ...paths(all)] },
    to: {},
  };
  return [...arrowsUp, place];
}

function pathOf(source: string, name: string, all: readonly string[]): string {
  if (name !== otherFiles)
    return /\.[jt]s$/.test(name) ? `${under(source)}${literal(name)}$` : `${under(source)}${name}/`;
  const named = all.filter((each) => each !== otherFiles).map((each) => `${literal(each)}$`);
  return `${under(source)}${named.length > 0 ? `(?!${named.join('|')})` : ''}[^/]+$`;
}

function under(source: string): string {
  return `^${literal(source)}/`;
}

function literal(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
