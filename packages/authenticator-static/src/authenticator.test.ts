import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Authenticator } from '@sallyport/authenticator';
import { type RecordingContext, recordingContext } from '@sallyport/authenticator/conformance';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createStaticAuthenticator } from './authenticator.ts';
import type { StaticOptions } from './options.ts';
import { digestToken } from './token-file.ts';

const randomToken = () => randomBytes(32).toString('base64url');
const entry = (token: string, more = '') =>
  `  - { sha256: ${digestToken(token)}, username: alice${more} }\n`;

interface Gateway extends RecordingContext {
  readonly authenticator: Authenticator;
  write(file: string, text: string): Promise<void>;
  decide(token: string): ReturnType<Authenticator['authenticate']>;
}

async function gateway(
  files: Record<string, string>,
  options: StaticOptions,
  now?: () => number,
): Promise<Gateway> {
  const baseDirectory = await mkdtemp(path.join(tmpdir(), 'static-'));
  onTestFinished(() => rm(baseDirectory, { recursive: true }));
  const write = (file: string, text: string) => writeFile(path.join(baseDirectory, file), text);
  for (const [file, text] of Object.entries(files)) await write(file, text);
  const recording = recordingContext({ pluginName: 'static', baseDirectory });
  const authenticator = await createStaticAuthenticator(options, recording.context, now);
  const { signal } = new AbortController();
  const decide = (token: string) => authenticator.authenticate(token, { audiences: [], signal });
  return { ...recording, authenticator, write, decide };
}

const yaml = { tokensFile: 'tokens.yaml' };
const both = { tokensFile: 'tokens.yaml', tokenAuthFile: 'tokens.csv' };

describe('a static authenticator', () => {
  test('knows the tokens of both files, and has no opinion on others', async () => {
    const [one, two] = [randomToken(), randomToken()];
    const { decide, lines } = await gateway(
      { 'tokens.yaml': `tokens:\n${entry(one)}`, 'tokens.csv': `${two},bob,1,"dev,ops"\n` },
      both,
    );
    expect(await decide(one)).toEqual({ kind: 'authenticated', user: { username: 'alice' } });
    expect(await decide(two)).toEqual({
      kind: 'authenticated',
      user: { username: 'bob', uid: '1', groups: ['dev', 'ops'] },
    });
    expect(await decide(randomToken())).toEqual({ kind: 'no-opinion' });
    expect(await decide(one.slice(1))).toEqual({ kind: 'no-opinion' });
    expect(await decide(digestToken(one))).toEqual({ kind: 'no-opinion' });
    expect(lines).toEqual([
      expect.objectContaining({ level: 'info', fields: { file: 'tokens.csv', tokens: 2 } }),
    ]);
  });

  test('lists all users with a token, of both files', async () => {
    const [one, two] = [randomToken(), randomToken()];
    const { authenticator } = await gateway(
      {
        'tokens.yaml': `tokens:\n${entry(one, ', groups: ["system:masters"]')}`,
        'tokens.csv': `${two},bob,1\n`,
      },
      both,
    );
    expect([...(authenticator.knownUsers?.() ?? [])]).toEqual([
      { username: 'alice', groups: ['system:masters'] },
      { username: 'bob', uid: '1' },
    ]);
  });

  test('looks a user up by name, with the groups of all their tokens', async () => {
    const [one, two] = [randomToken(), randomToken()];
    const { authenticator } = await gateway(
      {
        'tokens.yaml': `tokens:\n${entry(one, ', groups: [ops]')}`,
        'tokens.csv': `${two},alice,1,dev\n`,
      },
      both,
    );
    const { signal } = new AbortController();
    expect(await authenticator.lookUp?.('alice', { signal })).toMatchObject({
      username: 'alice',
      groups: ['dev', 'ops'],
    });
    expect(await authenticator.lookUp?.('ali', { signal })).toBeUndefined();
  });

  test('warns of tokens that have expired, and of columns that are not read, with their lines', async () => {
    const start = Date.parse('2030-01-01T00:00:00Z');
    const until = (time: string) => entry(randomToken(), `, expiresAt: 2030-01-01T00:00:${time}Z`);
    const warnings = async (...entries: readonly string[]) => {
      const { lines } = await gateway(
        { 'tokens.yaml': `tokens:\n${entries.join('')}` },
        yaml,
        () => start,
      );
      return lines.filter(({ level }) => level === 'warn');
    };
    const warning = (tokens: string, lines: string) => ({
      level: 'warn',
      message: 'static tokens have expired: replace them, or remove their entries',
      fields: { file: 'tokens.yaml', tokens, lines },
    });
    expect(await warnings(entry(randomToken()), until('00'), until('00.001'))).toEqual([
      warning('1 of 3', '3'),
    ]);
    expect(await warnings(entry(randomToken()), until('01'))).toEqual([]);
    const rows = ['bob,1,dev,ops', 'bob,1,"dev,ops"'].map((row) => `${randomToken()},${row}\n`);
    const csv = await gateway({ 'tokens.csv': rows.join('') }, { tokenAuthFile: 'tokens.csv' });
    expect(csv.lines).toContainEqual({
      level: 'warn',
      message:
        'columns after the fourth are not read: put all groups into one column, as "group1,group2" with the quotes',
      fields: { file: 'tokens.csv', tokens: '1 of 2', lines: '1' },
    });
    const many = Array.from({ length: 11 }, () => until('00'));
    expect(await warnings(...many)).toEqual([
      warning('11 of 11', '2, 3, 4, 5, 6, 7, 8, 9, 10, 11, ...'),
    ]);
  });

  test('marks a CSV file as secret, since its tokens are in clear text', async () => {
    const { context } = recordingContext({ pluginName: 'static', baseDirectory: '/' });
    const watched: unknown[] = [];
    const watchFile: typeof context.watchFile = async (file, _load, options) => {
      watched.push([file, options]);
    };
    await createStaticAuthenticator(both, { ...context, watchFile });
    expect(watched).toEqual([
      ['tokens.yaml', { secret: false }],
      ['tokens.csv', { secret: true }],
    ]);
  });

  test('passes audiences on, also an empty list', async () => {
    const [bound, unbindable] = [randomToken(), randomToken()];
    const text = `tokens:\n${entry(bound, ', audiences: [vault]')}${entry(unbindable, ', audiences: []')}`;
    const { decide } = await gateway({ 'tokens.yaml': text }, yaml);
    expect(await decide(bound)).toMatchObject({ kind: 'authenticated', audiences: ['vault'] });
    expect(await decide(unbindable)).toMatchObject({ kind: 'authenticated', audiences: [] });
  });

  test('refuses a token before notBefore and from expiresAt on, to the millisecond', async () => {
    const token = randomToken();
    const text = `tokens:\n${entry(token, ', notBefore: 2031-05-01T00:00:00Z, expiresAt: 2031-05-02T00:00:00Z')}`;
    const [start, end] = [Date.UTC(2031, 4, 1), Date.UTC(2031, 4, 2)];
    let now = start - 1;
    const { decide } = await gateway({ 'tokens.yaml': text }, yaml, () => now);
    expect(await decide(token)).toEqual({
      kind: 'rejected',
      reason: 'not-yet-valid',
      subject: 'alice',
    });
    now = start;
    expect(await decide(token)).toEqual({
      kind: 'authenticated',
      user: { username: 'alice' },
      expiresAt: new Date(end),
    });
    now = end - 1;
    expect(await decide(token)).toMatchObject({ kind: 'authenticated' });
    now = end;
    expect(await decide(token)).toEqual({ kind: 'rejected', reason: 'expired', subject: 'alice' });
  });

  test('has no opinion of a text that is not well-formed', async () => {
    const { decide } = await gateway({ 'tokens.yaml': `tokens:\n${entry('\uFFFD')}` }, yaml);
    expect(await decide('\uD800')).toEqual({ kind: 'no-opinion' });
  });

  test('gives decisions that a caller cannot change for the next one', async () => {
    const token = randomToken();
    const text = `tokens:\n${entry(token, ', groups: [a], extra: { k: [v] }, audiences: [x], expiresAt: 2999-01-01T00:00:00Z')}`;
    const { decide } = await gateway({ 'tokens.yaml': text }, yaml);
    const decision = await decide(token);
    if (decision.kind !== 'authenticated') throw new Error('not authenticated');
    const { user, audiences } = decision;
    for (const part of [user, user.groups, user.extra, user.extra?.k, audiences])
      expect(Object.isFrozen(part)).toBe(true);
    decision.expiresAt?.setTime(0);
    expect(await decide(token)).toMatchObject({ expiresAt: new Date('2999-01-01T00:00:00Z') });
  });

  test('answers without a promise, and with the same decision each time', async () => {
    const [one, two] = [randomToken(), randomToken()];
    const text = `tokens:\n${entry(one)}${entry(two, ', expiresAt: 2999-01-01T00:00:00Z')}`;
    const { decide } = await gateway({ 'tokens.yaml': text }, yaml);
    for (const token of [one, two, randomToken()]) {
      const decision = decide(token);
      expect(decision).not.toBeInstanceOf(Promise);
      expect(Object.isFrozen(decision)).toBe(true);
      expect(decide(token)).toBe(decision);
    }
    expect(decide(one)).not.toBe(decide(two));
  });

  test('refuses immediately a token that is removed from its file, and accepts a new one', async () => {
    const [old, fresh] = [randomToken(), randomToken()];
    const { decide, write, touch, lines } = await gateway(
      { 'tokens.yaml': `tokens:\n${entry(old)}` },
      yaml,
    );
    await write('tokens.yaml', `tokens:\n${entry(fresh)}${entry(randomToken())}`);
    expect(await touch()).toEqual([]);
    expect(await decide(old)).toEqual({ kind: 'no-opinion' });
    expect(await decide(fresh)).toMatchObject({ kind: 'authenticated' });
    expect(lines.map(({ fields }) => fields)).toEqual([
      { file: 'tokens.yaml', tokens: 1 },
      { file: 'tokens.yaml', tokens: 2 },
    ]);
  });

  test('is not created when a file is bad, or has a token of the other one', async () => {
    const token = randomToken();
    await expect(gateway({ 'tokens.yaml': 'tokens: 1' }, yaml)).rejects.toThrow(
      'tokens.yaml, line 1, column 9: tokens',
    );
    await expect(gateway({}, yaml)).rejects.toThrow('ENOENT');
    const files = {
      'tokens.yaml': `tokens:\n${entry(token)}`,
      'tokens.csv': `x,bob,1\n${token},bob,1\n`,
    };
    await expect(gateway(files, both)).rejects.toThrow(
      'tokens.csv, line 2: the same token as in tokens.yaml, line 2: remove it from one of the files',
    );
  });

  test('loads both files together when a token has moved from one to the other', async () => {
    const [stays, moves] = [randomToken(), randomToken()];
    const { decide, write, touch } = await gateway(
      { 'tokens.yaml': `tokens:\n${entry(stays)}`, 'tokens.csv': `${moves},bob,1\n` },
      both,
    );
    await write('tokens.yaml', `tokens:\n${entry(moves)}`);
    expect(await touch()).toHaveLength(2);
    expect(await decide(stays)).toMatchObject({ kind: 'authenticated' });
    expect(await decide(moves)).toMatchObject({ user: { username: 'bob' } });
    await write('tokens.csv', '');
    await touch();
    expect(await decide(stays)).toEqual({ kind: 'no-opinion' });
    expect(await decide(moves)).toMatchObject({ user: { username: 'alice' } });
  });
});
