import { execFile } from 'node:child_process';
import {
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  realpath,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CreateError, createPlugin, problemOfName } from './create.ts';
import { problemInside } from './inside.ts';
import { type PluginPlan, renderPlugin } from './template.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'create-authenticator-'));
});
afterEach(() => rm(folder, { recursive: true }));

const plan: PluginPlan = {
  name: 'my-plugin',
  packageName: '@acme/my-plugin',
  place: 'outside',
  language: 'ts',
};

interface Result {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const cli = fileURLToPath(new URL('cli.ts', import.meta.url));

function run(words: readonly string[], cwd = folder): Promise<Result> {
  return new Promise((resolve) => {
    execFile(process.execPath, [cli, ...words], { cwd }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

describe('names', () => {
  test.each(['a', 'my-plugin', 'corp2', 'a-b-c', 'a'.repeat(30)])('%s is valid', (name) => {
    expect(problemOfName(name)).toBeUndefined();
  });

  test.each([
    '',
    'My-Plugin',
    'my_plugin',
    'my plugin',
    '-a',
    'a-',
    'a--b',
    '2a',
    '..',
    'a/b',
    'ä',
    'node_modules',
    'a\n',
  ])('%j is refused with what to write', (name) => {
    expect(problemOfName(name)?.message).toBe(
      `${JSON.stringify(name)} is not a name for a plugin: write lowercase letters, digits and single dashes, such as my-plugin`,
    );
  });

  test('one of 31 characters is too long', () => {
    expect(problemOfName('a'.repeat(31))?.message).toMatch(
      /is too long: write at most 30 characters$/,
    );
  });

  test.each(['jwt', 'ldap', 'redis', 'static', 'webhook'])(
    "%s is Sallyport's own plugin",
    (name) => {
      expect(problemOfName(name)?.message).toBe(
        `"${name}" is the name of one of Sallyport's own plugins: choose another name`,
      );
    },
  );

  test.each([
    { name: 'l-dap', word: 'ldap' },
    { name: 'j-w-t', word: 'jwt' },
    { name: 'web-hook', word: 'webhook' },
  ])('$name would be a plugin of the name $word', ({ name, word }) => {
    expect(problemOfName(name)?.message).toBe(
      `"${name}" is the name of one of Sallyport's own plugins, without its dashes (${word}): choose another name`,
    );
  });
});

describe('a folder', () => {
  test('that is empty, or has only .git, is filled', async () => {
    await mkdir(join(folder, '.git'));
    const files = await createPlugin(folder, plan);
    expect([...files].sort()).toEqual([
      ...['.gitignore', 'README.md', 'package.json', 'sallyport.yaml'],
      ...['src/index.test.ts', 'src/index.ts', 'src/ticket-server.ts', 'tsconfig.json'],
    ]);
    expect(JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'))).toMatchObject({
      name: '@acme/my-plugin',
    });
  });

  test.each(['notes.txt', '.npmrc', 'src/index.ts'])(
    'that has %s is left as it is',
    async (name) => {
      await mkdir(join(folder, 'src'), { recursive: true });
      await writeFile(join(folder, name), 'mine');
      const before = await readdir(folder, { recursive: true });
      await expect(createPlugin(folder, plan)).rejects.toThrow(
        /is not empty, so nothing was written: it contains .+: choose another name/,
      );
      expect(await readdir(folder, { recursive: true })).toEqual(before);
      expect(await readFile(join(folder, name), 'utf8')).toBe('mine');
    },
  );

  test('that is a file is left as it is', async () => {
    await writeFile(join(folder, 'file'), 'mine');
    await expect(createPlugin(join(folder, 'file'), plan)).rejects.toThrow(
      "can't read this folder",
    );
  });

  test("that can't be made is an error in words", async () => {
    await symlink(join(folder, 'nowhere/deep'), join(folder, 'dangling'));
    await expect(createPlugin(join(folder, 'dangling'), plan)).rejects.toThrow(
      /^.+dangling: can't write the plugin here: E[A-Z]+.+: fix that, or choose another folder$/,
    );
    await expect(createPlugin(join(folder, 'dangling'), plan)).rejects.toBeInstanceOf(CreateError);
  });

  test('of a package of this repository is never written to', async () => {
    await mkdir(join(folder, 'packages/authenticator-demo'), { recursive: true });
    expect(problemInside(folder, 'demo')?.message).toMatch(
      /^packages\/authenticator-demo exists, so nothing was written/,
    );
    expect(problemInside(folder, 'other')).toBeUndefined();
    expect(problemInside(folder, 'ldap')?.message).toContain("one of Sallyport's own plugins");
  });
});

const plans = (['inside', 'outside'] as const).flatMap((place) =>
  (['ts', 'js'] as const).map((language): PluginPlan => ({ ...plan, place, language })),
);

describe.each(plans)('the files of $place, $language', (one) => {
  test('have all words filled in, and no lines that are for others', async () => {
    for (const [path, text] of await renderPlugin(one)) {
      expect([path, text]).not.toEqual([
        path,
        expect.stringMatching(/\{\{\w+\}\}|^@(ts|js|inside|outside)/m),
      ]);
      expect([path, text.endsWith('\n')]).toEqual([path, true]);
    }
  });

  test('have the same code as plugins in the other place', async () => {
    const other = await renderPlugin({
      ...one,
      place: one.place === 'inside' ? 'outside' : 'inside',
    });
    const own = await renderPlugin(one);
    for (const name of ['index', 'ticket-server']) {
      expect(own.get(`src/${name}.${one.language}`)).toBe(other.get(`src/${name}.${one.language}`));
    }
  });
});

test('a line for one place and one language is in no other', async () => {
  const without = plans.filter(({ place, language }) => place !== 'outside' || language !== 'ts');
  for (const one of without)
    expect((await renderPlugin(one)).get('README.md')).not.toContain('npm run build');
  expect((await renderPlugin(plan)).get('README.md')).toContain('npm run build');
  expect((await renderPlugin({ ...plan, language: 'js' })).has('tsconfig.json')).toBe(false);
});

describe('the command', () => {
  test('prints what it made, and the next commands', async () => {
    const { code, stdout } = await run(['@acme/my-plugin', '--language', 'js']);
    expect(code).toBe(0);
    expect(stdout).toContain(
      `Created @acme/my-plugin in ${folder}/my-plugin:\n\n  my-plugin/README.md\n`,
    );
    expect(stdout).toContain('\n  cd my-plugin\n  npm install\n  npm test\n');
    expect(stdout).toContain(
      'in place of npm install:\nnpm install --no-save FOLDER/sallyport-*.tgz\n',
    );
  });

  test('fills the folder that it runs in', async () => {
    await mkdir(join(folder, 'here'));
    const { code, stdout } = await run(['.'], join(folder, 'here'));
    expect(code).toBe(0);
    expect(stdout).toContain(`Created @example/here in ${folder}/here:\n\n  README.md\n`);
    expect(stdout).toContain('\n\n  npm install\n  npm test\n');
  });

  test.each(["o'b", 'two words', "'$(exit 3)'"])(
    'prints a command that enters %s/deep',
    async (parent) => {
      const { stdout } = await run([`${parent}/deep`]);
      const [, line = 'exit 2'] = /^ {2}(cd .*)$/m.exec(stdout) ?? [];
      const entered = await promisify(execFile)('sh', ['-c', `${line} && pwd -P`], { cwd: folder });
      expect(entered.stdout).toBe(`${await realpath(join(folder, parent, 'deep'))}\n`);
    },
  );

  test.each(['24.20.0', '25.9.0', '26.3.0'])(
    'refuses Node %s, which could not run the plugin',
    async (node) => {
      const pretend = `Object.defineProperty(process,'versions',{value:{...process.versions,node:'${node}'}})`;
      const words = [
        '--import',
        `data:text/javascript,${encodeURIComponent(pretend)}`,
        cli,
        'my-plugin',
      ];
      const stderr = await new Promise((resolve) => {
        execFile(process.execPath, words, { cwd: folder }, (_error, _stdout, written) =>
          resolve(written),
        );
      });
      expect(stderr).toBe(
        `create-authenticator: this program can't run on Node ${node}: the gateway needs Node 24.21, or 26.3.1 or later\n  fix: install one of these\n`,
      );
      expect(await readdir(folder)).toEqual([]);
    },
  );

  test('prints its usage', async () => {
    expect(await run(['--help'])).toEqual({
      code: 0,
      stdout: expect.stringContaining('create-authenticator @acme/my-plugin --language js'),
      stderr: '',
    });
  });

  test.each([
    { words: [], message: 'write one NAME\n  fix: see: create-authenticator --help\n' },
    {
      words: ['a', '--language', 'coffee'],
      message: '--language: "coffee" is not a language\n  fix: write ts or js\n',
    },
    { words: ['a', '--langauge', 'js'], message: "Unknown option '--langauge'\n  fix: see: " },
    { words: ['@acme/My'], message: '"My" is not a name for a plugin' },
  ])('$words is an error in words', async ({ words, message }) => {
    const { code, stdout, stderr } = await run(words);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toContain(`create-authenticator: ${message}`);
    expect(stderr).not.toContain('    at ');
    expect(await readdir(folder)).toEqual([]);
  });
});
