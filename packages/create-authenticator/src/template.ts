import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

/** A plugin is made from its plan. */
export interface PluginPlan {
  /** The last part of the package's name, such as `tickets`: lowercase words with dashes. */
  readonly name: string;
  /** The whole name of the package, such as `@example/tickets`. */
  readonly packageName: string;
  /** `inside` this repository, beside the plugins that are shipped, or `outside`, in a separate folder. */
  readonly place: 'inside' | 'outside';
  readonly language: 'ts' | 'js';
}

const templates = new URL('../template/', import.meta.url);
const manifest = new URL('../package.json', import.meta.url);

/** Renders the files of a new plugin, by their paths. Both places have the same sources, so that they can't differ. */
export async function renderPlugin(plan: PluginPlan): Promise<ReadonlyMap<string, string>> {
  const { place, language, name } = plan;
  // All packages of Sallyport have the same version.
  const { version }: { version: string } = JSON.parse(await readFile(manifest, 'utf8'));
  // The name of the plugin itself is part of the names of its metrics, which have no dashes.
  const words = {
    name,
    word: name.replaceAll('-', ''),
    package: plan.packageName,
    ext: language,
    version,
  };
  const holds = new Set([place, language]);
  const files = await Promise.all(
    ['shared/', place].map((folder) => readTemplates(new URL(`${folder}/`, templates))),
  );
  const rendered = files
    .flat()
    .map(([path, text]) => [findTarget(path, language), render(text, words, holds)] as const);
  return new Map(rendered.filter(([, text]) => text.trim() !== ''));
}

async function readTemplates(folder: URL): Promise<[path: string, text: string][]> {
  const paths = await readdir(fileURLToPath(folder), { recursive: true });
  const files = paths.filter((path) => path.endsWith('.template')).sort();
  return Promise.all(
    files.map(async (path) => [path, await readFile(new URL(path, folder), 'utf8')]),
  );
}

/** Returns the path of a template's file. npm does not pack `.gitignore`, and a `.ts` would be checked with the sources. */
function findTarget(template: string, language: string): string {
  const path = template.replaceAll('\\', '/').replace(/\.template$/, '');
  return path.replace(/\.ts$/, `.${language}`).replace(/^gitignore$/, '.gitignore');
}

/** Fills in `{{word}}`, and keeps a line that begins with `@ts `, `@outside+js ` and so on where all of these hold. */
function render(
  text: string,
  words: Readonly<Record<string, string>>,
  holds: ReadonlySet<string>,
): string {
  const lines = text.split('\n').flatMap((line) => {
    const [, conditions, content = ''] =
      /^@((?:ts|js|inside|outside)(?:\+\w+)?)(?: (.*))?$/.exec(line) ?? [];
    if (conditions === undefined) return [line];
    return conditions.split('+').every((condition) => holds.has(condition)) ? [content] : [];
  });
  return lines.join('\n').replaceAll(/\{\{(\w+)\}\}/g, (_all, word: string) => words[word] ?? '');
}
