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
const sessions = [
  { id: hostile, device: hostile, cluster: hostile, since: '', lastUsedAt: '', expiresAt: '' },
];
const server = { clusters: [{ name: hostile, cluster: { server: 'https://prod.example.com' } }] };

test.each<[string, number, (url: string) => readonly string[], Answers]>([
  ['an error of init', 2, (url) => ['init', url], {}],
  ['a URL that is none', 2, () => ['init', `${hostile}://x`], {}],
  ['a cluster without a kubeconfig', 2, (url) => ['init', url], named(hostile)],
  [
    'a cluster that its kubeconfig lacks',
    3,
    (url) => ['init', url],
    { ...named(hostile), [kubeconfigOf(hostile)]: '' },
  ],
  ['several clusters', 2, (url) => ['init', url], named(hostile, `${hostile}2`)],
  [
    'a cluster that is added',
    0,
    (url) => ['init', url],
    { ...named(hostile), [kubeconfigOf(hostile)]: server },
  ],
  ['an error of a login', 2, ofCluster('login', '--username', 'ada'), {}],
  ['an error of a logout', 2, ofCluster('logout'), {}],
  ['whoami', 0, ofCluster('whoami'), { '/v1/session': session }],
  ['sessions', 0, ofCluster('sessions'), { '/v1/sessions': { sessions } }],
])(
  '%s of a hostile server has nothing that a terminal obeys',
  async (_what, code, words, answers) => {
    const result = await run(words, answers);
    expect(result.code).toBe(code);
    const shown = result.stdout + result.stderr;
    expect(shown).toContain('\u{fffd}');
    expect(shown).not.toMatch(obeyed);
  },
);

test.each([
  ['whoami', { '/v1/session': session }, { user: user.username, groups: user.groups }],
  [
    'sessions',
    { '/v1/sessions': { sessions } },
    sessions.map((one) => ({ ...one, current: false })),
  ],
])(
  '%s -o json has the names as they are, and nothing that a terminal obeys',
  async (name, answers, expected) => {
    const { code, stdout } = await run(ofCluster(name, '-o', 'json'), answers);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject(expected);
    expect(stdout).not.toMatch(obeyed);
  },
);
