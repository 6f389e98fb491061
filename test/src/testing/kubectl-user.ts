import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { secret } from '@sallyport/test-servers/tokens';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { expect } from 'vitest';
import type { CommandResult } from './command.ts';
import { createDesk, type Desk, type Site } from './login-client.ts';

/** The arguments of a `kubectl` that needs a session. */
export const getNamespaces: readonly string[] = ['get', 'namespaces', '-o', 'name'];
/** The result of `getNamespaces` with a session. */
export const done: CommandResult = { code: 0, stdout: 'namespace/default\n', stderr: '' };

interface Person {
  readonly name: string;
  readonly password: string;
}

/** The kubeconfig that `init` wrote at the first desk of a site. */
const kubeconfigs = new WeakMap<Site, Promise<string>>();

async function writtenByInit({ url, caFile }: Site): Promise<string> {
  const { sallyport, home } = await createDesk();
  const added = await sallyport(['init', url, 'prod', '--ca-file', caFile]);
  expect(added, added.stderr).toMatchObject({ code: 0, stderr: '' });
  return readFile(join(home, '.kube/config'), 'utf8');
}

/** A desk with the context prod, where no one is logged in. */
export async function newDesk(site: Site): Promise<Desk> {
  const written = kubeconfigs.get(site) ?? writtenByInit(site);
  kubeconfigs.set(site, written);
  const desk = await createDesk();
  await mkdir(join(desk.home, '.kube'));
  await writeFile(join(desk.home, '.kube/config'), await written, { mode: 0o600 });
  return desk;
}

/** Makes a desk at which Alice has logged in by `init` and `login`, as the README says. */
export async function loggedIn(site: Site, words: readonly string[] = []): Promise<Desk> {
  const desk = await newDesk(site);
  await logIn(desk, site.place.people.alice, words);
  return desk;
}

export async function logIn(
  desk: Desk,
  { name, password }: Person,
  words: readonly string[] = [],
): Promise<void> {
  const command = ['login', '--username', name, '--password-stdin', ...words];
  const result = await desk.sallyport(command, { input: `${password}\n` });
  expect(result, result.stderr).toMatchObject({ code: 0, stderr: '' });
}

/** Reads the token that the plugin gives kubectl. */
export async function tokenOf(desk: Desk): Promise<string> {
  const { stdout } = await desk.sallyport(['token']);
  return secret(JSON.parse(stdout).status.token);
}

/** Waits until a token is refused everywhere: gateways cache an answer for a second. */
export async function untilRefused(site: Site, token: string): Promise<void> {
  const isRefused = async () => {
    const reviews = await site.reviews(token);
    const isOut = reviews.every(({ authenticated }) => !authenticated);
    return isOut && (await site.ask('GET', '/v1/session', token)) === 401;
  };
  await waitFor(isRefused, 'the end of the session');
}

type Terminal = ReturnType<Desk['terminal']>;

/** Waits for a question that was asked this many times, and types the answer. */
export async function answer(
  run: Terminal,
  question: string,
  text: string,
  count = 1,
): Promise<void> {
  const asked = () => run.shown().split(question).length > count;
  const isOver = run.ended.then(() => true);
  await Promise.race([waitFor(asked, `"${question}" (${count})`), isOver]);
  expect(asked(), `"${question}" (${count}) in ${run.shown()}`).toBe(true);
  run.type(`${text}\r`);
}

/** The question for a second factor. */
export const codeQuestion = 'Code (from your authenticator app, or a recovery code): ';

export async function typePassword(run: Terminal, { name, password }: Person): Promise<void> {
  await answer(run, 'Username', name);
  await answer(run, `Password of ${name}: `, password);
}
