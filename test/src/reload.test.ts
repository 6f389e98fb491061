import { mkdir, rename, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { staticAuthenticator, tokensFile } from '@sallyport/test-servers/static-tokens';
import { randomToken } from '@sallyport/test-servers/tokens';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { describe, expect, test } from 'vitest';
import { http1Client, review } from './testing/clients.ts';
import { temporaryFolder } from './testing/folder.ts';
import { configText, startGateway } from './testing/gateway.ts';
import { startLoad } from './testing/load.ts';
import { authenticated, startScriptedBackend } from './testing/scripted-backend.ts';

const named = (prefix: string): object => ({
  username: { prefix: `${prefix}:` },
  groups: { prefix: `${prefix}:` },
});

describe.concurrent('gateway.yaml', () => {
  test('an edit is swapped in whole under load, with no wrong answer', async () => {
    const backend = await startScriptedBackend();
    backend.answerOthers(authenticated('ada', ['ops']));
    const config = (prefix: string): object => ({
      authenticators: [backend.authenticator('corp', named(prefix))],
    });
    await using gateway = await startGateway({ config: { ...config('one') } });
    using client = http1Client(gateway.url);
    const seen = new Set<string>();
    const load = startLoad(client, 16, (status) => {
      const names = [status.user?.username, ...(status.user?.groups ?? [])].join();
      seen.add(names);
      return /^(\w+):ada,\1:ops$/.test(names) ? undefined : `a mixture: ${JSON.stringify(status)}`;
    });
    for (const prefix of ['two', 'three', 'four', 'five']) {
      await gateway.configure({ ...config(prefix) });
      await gateway.reload();
      const answered = load.answered();
      await waitFor(() => load.answered() > answered + 50, 'reviews after the reload');
    }
    await load.stop();
    expect(load.problems()).toEqual([]);
    expect([...seen]).toEqual(
      ['one', 'two', 'three', 'four', 'five'].map((prefix) => `${prefix}:ada,${prefix}:ops`),
    );
    await waitFor(() => backend.connections() === 1, 'the end of the old chains');
  });

  test('a review in progress keeps the chain it began with, whose plugin is closed after it', async () => {
    const backend = await startScriptedBackend();
    const config = (prefix: string): object => ({
      authenticators: [backend.authenticator('corp', named(prefix))],
    });
    await using gateway = await startGateway({ config: { ...config('old') } });
    using client = http1Client(gateway.url);
    const token = randomToken();
    backend.answer(token, { kind: 'hang' });
    const answer = review(client, token);
    const call = await backend.whenAsked(token);
    await gateway.configure({ ...config('new') });
    await gateway.reload();
    const next = randomToken();
    backend.answer(next, authenticated('ada'));
    expect(await review(client, next)).toMatchObject({ user: { username: 'new:ada' } });
    // The check of the files every 2 s may have made the new chain once more, and closed the one before.
    await waitFor(() => backend.connections() === 2, 'the old chain and the new one');
    call.settle(authenticated('ada'));
    expect(await answer).toMatchObject({ user: { username: 'old:ada' } });
    await waitFor(() => backend.connections() === 1, 'the end of the old chain');
  });

  test('after a reload, a shutdown closes the plugins of the chain in force', async () => {
    const backend = await startScriptedBackend();
    const config = (name: string) => ({ authenticators: [backend.authenticator(name)] });
    await using gateway = await startGateway({ config: config('first') });
    await gateway.configure(config('second'));
    await gateway.reload();
    const closed = () =>
      gateway.output.lines.filter(({ msg }) => msg === 'closed').map((one) => one.authenticator);
    await waitFor(() => closed().includes('first'), 'the end of the old chain');
    await gateway.stop();
    expect(closed().at(-1)).toBe('second');
  });

  test('a bad edit is refused with its line and column, and what runs stays', async () => {
    const backend = await startScriptedBackend();
    backend.answerOthers(authenticated('ada'));
    const config = { authenticators: [backend.authenticator('corp')] };
    await using gateway = await startGateway({ config });
    using client = http1Client(gateway.url);
    const text = configText(config);
    const bad: readonly [string, object][] = [
      [
        text.replace('    use:', '    usee:'),
        { line: 3, column: 5, fix: expect.stringContaining('use') },
      ],
      [
        text.replace('name: corp', 'name: [corp'),
        { line: expect.any(Number), column: expect.any(Number) },
      ],
      [text.replace('level: trace', 'level: loud'), { path: 'log.level', column: 10 }],
      [
        text.replace('scripted-plugin', 'missing-plugin'),
        { line: 3, column: 10, path: 'authenticators[0].use' },
      ],
      ['', { file: join(gateway.folder, 'gateway.yaml') }],
    ];
    for (const [edit, problem] of bad) {
      const from = gateway.output.lines.length;
      await gateway.write('gateway.yaml', edit);
      gateway.signal('SIGHUP');
      // The next refusal may be that of the edit before, by the check of the files every 2 s.
      const fits = (one: unknown): boolean => expect.objectContaining(problem).asymmetricMatch(one);
      const line = await gateway.output.waitForLine(
        ({ msg, problems }) =>
          msg === 'config reload refused' && (problems as unknown[]).some(fits),
        `on ${JSON.stringify(problem)}`,
        from,
      );
      expect(line.level).toBe('error');
      expect(await review(client, randomToken())).toMatchObject({ user: { username: 'ada' } });
    }
    const from = gateway.output.lines.length;
    await gateway.configure({ authenticators: [backend.authenticator('corp', named('fixed'))] });
    await gateway.waitForLog('config reloaded', from);
    expect(await review(client, randomToken())).toMatchObject({ user: { username: 'fixed:ada' } });
  });

  test('another address to listen on says that it needs a restart, and the rest takes effect immediately', async () => {
    const backend = await startScriptedBackend();
    backend.answerOthers(authenticated('ada'));
    await using gateway = await startGateway({
      config: { authenticators: [backend.authenticator('corp')] },
    });
    using client = http1Client(gateway.url);
    const authenticators = [backend.authenticator('corp', named('new'))];
    await gateway.configure({ server: { listen: '127.0.0.1:1' }, authenticators });
    gateway.signal('SIGHUP');
    const line = await gateway.output.waitForLine((one) => /restart/.test(one.msg), 'on a restart');
    expect(line.level).toBe('warn');
    expect(JSON.stringify(line)).toContain('server.listen');
    await gateway.waitForLog('config reloaded');
    expect(await review(client, randomToken())).toMatchObject({ user: { username: 'new:ada' } });
  });

  test('an edit that was refused for a missing file is taken in when the file has come', async () => {
    const [before, after] = [randomToken(), randomToken()];
    const files = { 'tokens.yaml': tokensFile({ [before]: 'before' }) };
    await using gateway = await startGateway({
      config: { authenticators: [staticAuthenticator] },
      files,
    });
    using client = http1Client(gateway.url);
    const other = { ...staticAuthenticator, options: { tokensFile: 'others.yaml' } };
    await gateway.configure({ authenticators: [other] });
    gateway.signal('SIGHUP');
    await gateway.waitForLog('config reload refused');
    expect(await review(client, before)).toMatchObject({ user: { username: 'before' } });
    await gateway.write('others.yaml', tokensFile({ [after]: 'after' }));
    await gateway.waitForLog('config reloaded');
    expect(await review(client, after)).toMatchObject({ user: { username: 'after' } });
    expect(await review(client, before)).toEqual({ authenticated: false });
  });

  test('a mounted ConfigMap whose link is swapped is read again, without a signal', async () => {
    const folder = await temporaryFolder('mount');
    const backend = await startScriptedBackend();
    const [old, next] = [randomToken(), randomToken()];

    /** Mounts files as the kubelet does (kubernetes pkg/volume/util/atomic_writer.go): a new folder, then a rename. */
    async function mount(version: string, token: string): Promise<void> {
      await mkdir(join(folder, version));
      const authenticators = [staticAuthenticator, backend.authenticator(`v${version.length}`)];
      await writeFile(join(folder, version, 'gateway.yaml'), configText({ authenticators }));
      await writeFile(join(folder, version, 'tokens.yaml'), tokensFile({ [token]: version }));
      await symlink(version, join(folder, '..data_tmp'));
      await rename(join(folder, '..data_tmp'), join(folder, '..data'));
    }

    await mount('..first', old);
    for (const name of ['gateway.yaml', 'tokens.yaml']) {
      await symlink(join('..data', name), join(folder, name));
    }
    const commandArguments = ['--config', join(folder, 'gateway.yaml')];
    await using gateway = await startGateway({ folder, commandArguments });
    using client = http1Client(gateway.url);
    expect(await review(client, old)).toMatchObject({ user: { username: '..first' } });
    await mount('..second', next);
    await gateway.waitForLog('config reloaded');
    await waitFor(
      async () => (await review(client, next)).user?.username === '..second',
      'the new token',
    );
    expect(await review(client, old)).toEqual({ authenticated: false });
  });
});

describe.concurrent('a tokens file', () => {
  test('an edit adds a token and removes another, and a bad one keeps the last good set', async () => {
    const [kept, removed, added] = [randomToken(), randomToken(), randomToken()];
    const files = { 'tokens.yaml': tokensFile({ [kept]: 'kept', [removed]: 'removed' }) };
    await using gateway = await startGateway({
      config: { authenticators: [staticAuthenticator] },
      files,
    });
    using client = http1Client(gateway.url);
    const user = async (token: string): Promise<string | undefined> =>
      (await review(client, token)).user?.username;
    expect(await user(removed)).toBe('removed');

    await gateway.write('tokens.yaml', tokensFile({ [kept]: 'kept', [added]: 'added' }));
    const line = await gateway.waitForLog('file reloaded');
    expect(line.file).toBe(join(gateway.folder, 'tokens.yaml'));
    expect([await user(kept), await user(removed), await user(added)]).toEqual([
      'kept',
      undefined,
      'added',
    ]);

    await gateway.write(
      'tokens.yaml',
      tokensFile({ [kept]: 'kept' }).replace(/sha256: \w/, 'sha256: x'),
    );
    const refusal = await gateway.waitForLog('file reload refused');
    expect(refusal).toMatchObject({ level: 'error', file: join(gateway.folder, 'tokens.yaml') });
    expect(JSON.stringify(refusal.problems)).toMatch(/tokens\.yaml:2|line 2/);
    expect([await user(kept), await user(added)]).toEqual(['kept', 'added']);
  });

  test.each(['by itself', 'at SIGHUP'])(
    'a token removed beside a config that is refused is refused too, %s',
    async (how) => {
      const [kept, removed] = [randomToken(), randomToken()];
      const files = { 'tokens.yaml': tokensFile({ [kept]: 'kept', [removed]: 'removed' }) };
      const config = { authenticators: [staticAuthenticator] };
      await using gateway = await startGateway({ config, files });
      using client = http1Client(gateway.url);
      expect(await review(client, removed)).toMatchObject({ authenticated: true });
      await gateway.write('tokens.yaml', tokensFile({ [kept]: 'kept' }));
      await gateway.write('gateway.yaml', configText(config).replace('use:', 'usee:'));
      if (how === 'at SIGHUP') gateway.signal('SIGHUP');
      await gateway.waitForLog('config reload refused');
      await gateway.waitForLog('file reloaded');
      expect(await review(client, removed)).toEqual({ authenticated: false });
      expect(await review(client, kept)).toMatchObject({ user: { username: 'kept' } });
    },
  );
});
