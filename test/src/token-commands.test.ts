import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { runCommand } from './testing/command.ts';
import { createPlace } from './testing/token-place.ts';
import { secret, sha256 } from './testing/tokens.ts';

describe.concurrent('sallyport token', () => {
  test('--help lists the verbs', async () => {
    const { stdout } = await (await createPlace()).run(['--help']);
    expect(stdout.match(/^ {2}\w+ \[options\]/gm)).toEqual(
      ['create', 'list', 'hash'].map((verb) => `  ${verb} [options]`),
    );
  });

  test('a token lives: it is made, taken, listed, revoked, refused', async () => {
    const { folder, setup, run, revoke, calls } = await createPlace();
    const made = await run(['create', '--user', 'jane', '--group', 'dev', '--ttl', '8h']);
    expect(made.code).toBe(0);
    const token = secret(made.stdout.trim());
    const explain = async (): Promise<{ authenticated: boolean }> =>
      JSON.parse((await runCommand(['explain', '-o', 'json'], setup, token)).stdout).status;
    expect(await explain()).toEqual({
      authenticated: true,
      user: { username: 'robot:jane', groups: ['robot:dev'] },
    });
    expect((await run(['list'])).stdout).toMatch(
      new RegExp(
        `^${sha256(token).slice(0, 12)} +robot:jane +robot:dev +\\d+s +7h59m +good +\\S+$`,
        'm',
      ),
    );
    const revoked = await revoke(['--token', '--reason', 'leaked', '--by', 'ops'], `${token}\n`);
    expect(revoked).toMatchObject({ code: 0, stderr: '' });
    expect(await explain()).toEqual({ authenticated: false });
    expect((await run(['list', '--user', 'jane'])).stdout).toMatch(/ revoked +\S+$/m);
    // Each issuer was closed, and nothing else was stored of the token.
    expect(await calls()).toBe('closed\n'.repeat(4));
    expect(await readFile(join(folder, 'tokens.json'), 'utf8')).not.toContain(token);
  });
});
