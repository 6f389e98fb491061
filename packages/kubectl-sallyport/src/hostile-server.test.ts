import { writeFile } from 'node:fs/promises';
import type { RequestListener } from 'node:http';
import { join } from 'node:path';
import { temporaryFolder } from '@sallyport/test-servers/temporary-folder';
import { expect, test } from 'vitest';
import { createClient } from './testing/client.ts';
import { localServer } from './testing/local-server.ts';

/** Clears the screen, changes colors by C1, turns the direction of text around, and has letters that no one sees. */
const hostile = 'a\x1b[2J\x07\x7f\x9b31m\u202e\u2066\u200b\u2028\u{e0041}z';
/** A terminal obeys these characters, or a reader does not see them. */
const obeyed = /(?!\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;

type Answers = Readonly<Record<string, object | string>>;

/** Answers each path with 200, and others with an error that has a hostile message. */
const answering =
  (answers: Answers): RequestListener =>
  ({ url = '' }, response) => {
    const answer = answers[url];
    response.statusCode = answer === undefined ? 403 : 200;
    response.end(
      typeof answer === 'string' ? answer : JSON.stringify(answer ?? { message: hostile }),
    );
  };

async function run(words: (url: string) => readonly string[], answers: Answers = {}) {
  await using home = await temporaryFolder('hostile');
  const client = createClient(home.path);
  const password = join(home.path, 'password');
  await writeFile(password, 'secret');
  const url = await localServer(answering(answers));
  client.cacheSession({ url, cluster: 'prod' });
  return await client.run(words(url), { SALLYPORT_PASSWORD_FILE: password });
}

const ofCluster = (...words: readonly string[]) => {
  return (url: string) => [...words, '--url', url, '--cluster', 'prod'];
};
const named = (...names: readonly string[]) => ({
  '/v1/clusters': { clusters: names.map((name) => ({ name })) },
});
const kubeconfigOf = (name: string) => `/v1/clusters/${encodeURIComponent(name)}/kubeconfig`;
const user = { username: `corp:${hostile}`, groups: [hostile, 'b'] };
const session = { user, expiresAt: '2030-01-31T20:00:00Z' };
const times = { since: '', lastUsedAt: '', expiresAt: '' };
const sessions = [
  { id: hostile, device: hostile, cluster: hostile, ...times, state: hostile },
  { id: 'a', device: 'b', cluster: 'c', ...times },
];
const server = { clusters: [{ name: hostile, cluster: { server: 'https://prod.example.com' } }] };

test.each<{
  what: string;
  code: number;
  words: (url: string) => readonly string[];
  answers: Answers;
}>([
  { what: 'an error of init', code: 2, words: (url) => ['init', url], answers: {} },
  { what: 'a URL that is none', code: 2, words: () => ['init', `${hostile}://x`], answers: {} },
  {
    what: 'a cluster without a kubeconfig',
    code: 2,
    words: (url) => ['init', url],
    answers: named(hostile),
  },
  {
    what: 'a cluster that its kubeconfig lacks',
    code: 3,
    words: (url) => ['init', url],
    answers: { ...named(hostile), [kubeconfigOf(hostile)]: '' },
  },
  {
    what: 'several clusters',
    code: 2,
    words: (url) => ['init', url],
    answers: named(hostile, `${hostile}2`),
  },
  {
    what: 'a cluster that is added',
    code: 0,
    words: (url) => ['init', url],
    answers: { ...named(hostile), [kubeconfigOf(hostile)]: server },
  },
  {
    what: 'an error of a login',
    code: 2,
    words: ofCluster('login', '--username', 'ada'),
    answers: {},
  },
  { what: 'an error of a logout', code: 2, words: ofCluster('logout'), answers: {} },
  { what: 'whoami', code: 0, words: ofCluster('whoami'), answers: { '/v1/session': session } },
  {
    what: 'sessions',
    code: 0,
    words: ofCluster('sessions'),
    answers: { '/v1/sessions': { sessions } },
  },
])(
  '$what of a hostile server has nothing that a terminal obeys',
  async ({ code, words, answers }) => {
    const result = await run(words, answers);
    expect(result.code).toBe(code);
    const shown = result.stdout + result.stderr;
    expect(shown).toContain('\u{fffd}');
    expect(shown).not.toMatch(obeyed);
  },
);

test.each([
  {
    name: 'whoami',
    answers: { '/v1/session': session },
    expected: { user: user.username, groups: user.groups },
  },
  {
    name: 'sessions',
    answers: { '/v1/sessions': { sessions } },
    expected: sessions.map((one) => ({ state: 'good', ...one, current: false })),
  },
])(
  '$name -o json has the names as they are, and nothing that a terminal obeys',
  async ({ name, answers, expected }) => {
    const { code, stdout } = await run(ofCluster(name, '-o', 'json'), answers);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject(expected);
    expect(stdout).not.toMatch(obeyed);
  },
);
