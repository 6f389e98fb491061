import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import manifest from '../package.json' with { type: 'json' };

const program = join(import.meta.dirname, 'kubectl-sallyport.js');

/** Runs the program on this Node, which pretends to be of another version. */
function runOn(version: string): Promise<readonly [code: number, stderr: string]> {
  const pretend = `Object.defineProperty(process,'versions',{value:{...process.versions,node:'${version}'}})`;
  const words = [
    '--import',
    `data:text/javascript,${encodeURIComponent(pretend)}`,
    program,
    'version',
  ];
  return new Promise((resolve) => {
    execFile(process.execPath, words, { env: {} }, (error, _stdout, stderr) =>
      resolve([error === null ? 0 : Number(error.code), stderr]),
    );
  });
}

test.each(['20.20.2', '22.22.3', '23.11.1', '24.16.0', '25.9.0', '26.3.0'])(
  'Node %s, which can take a certificate for another host, is refused with those that can be used',
  async (version) => {
    const [code, stderr] = await runOn(version);
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^kubectl-sallyport: can't run on Node [\d.]+ \(.+\): it needs Node 22\.23, 24\.17, or 26\.3\.1 or later\. To fix it, install one of these, or the single executable of the release\n$/,
    );
    expect(stderr).toContain(`Node ${version} `);
  },
);

test.each(['22.23.0', '24.17.0', '26.3.1', '26.10.0', '27.0.0'])(
  'Node %s is not',
  async (version) => {
    expect(await runOn(version)).toEqual([0, '']);
  },
);

test('npm says the same', () => {
  expect(manifest.engines.node).toBe('^22.23.0 || ^24.17.0 || >=26.3.1');
});
