import { type OpenIdAccount, startOpenIdProvider } from '@sallyport/test-servers/oidc-provider';
import { randomToken } from '@sallyport/test-servers/tokens';
import { waitFor } from '@sallyport/test-servers/wait-for';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { shareBrowser, watchedPage } from './testing/browser.ts';
import { beginLogin } from './testing/browser-attempt.ts';
import { buildGoClient, type GoClient } from './testing/go-client.ts';
import { startHostileServer } from './testing/hostile-server.ts';
import { done, getNamespaces, newDesk, tokenOf, untilRefused } from './testing/kubectl-user.ts';
import { type AskGateway, type Desk, type Site, startSite } from './testing/login-client.ts';
import { readLooks } from './testing/page-looks.ts';
import { reviewBody, type TokenReview } from './testing/token-review.ts';

/** The program on this desk may open a window. */
const display = { DISPLAY: ':0' };

/** The people with an account at the provider. It reads the list at each login. */
const accounts: OpenIdAccount[] = [];
const clientSecret = randomToken();

const resources = new AsyncDisposableStack();
let go: GoClient;
let site: Site;
let browser: Browser;

/** Asks as kube-apiserver does, with Go's client. */
const askWithGo: AskGateway = async (url, token, audience) => {
  const body = reviewBody(token, 'v1', [audience]);
  const { status, error, body: text } = await go.send(url, { body }, 'HTTP/1.1');
  expect([status, error]).toEqual([200, '']);
  return (JSON.parse(text) as TokenReview).status;
};

/** An authenticator for the clients of the provider. */
const oidc = (name: string, url: string, audiences: readonly string[], more: object) => ({
  name,
  use: 'jwt',
  username: { prefix: `${name}:` },
  groups: { prefix: `${name}:` },
  cache: 'off',
  options: {
    issuers: [
      {
        issuer: { url, audiences, certificateAuthorityFile: 'tls/provider-ca.crt' },
        claimMappings: { username: { claim: 'sub' }, groups: { claim: 'groups' } },
      },
    ],
  },
  ...more,
});

async function startProvidedSite(): Promise<Site> {
  return await startSite(async (publicUrl) => {
    const client = (name: string, more: object) => ({
      client_id: name,
      redirect_uris: [`${publicUrl}/login/callback/${name}`],
      ...more,
    });
    const isPublic = { token_endpoint_auth_method: 'none' as const };
    const { url, ca } = resources.use(
      await startOpenIdProvider({
        accounts,
        clients: [
          client('open', isPublic),
          client('closed', { client_secret: clientSecret }),
          client('staff', isPublic),
        ],
      }),
    );
    const scopes = ['openid', 'groups'];
    return {
      files: { 'tls/provider-ca.crt': ca, 'secrets/closed': clientSecret },
      others: [
        oidc('oidc', url, ['open', 'closed'], {}),
        oidc('staff', url, ['staff'], {
          directory: { authenticator: 'corp', refresh: '1s' },
          groups: undefined,
        }),
      ],
      login: {
        browser: true,
        revalidate: '1s',
        limits: { perAddress: '1000/m' },
        providers: {
          open: { title: 'Open', authenticator: 'oidc', clientId: 'open', scopes },
          closed: {
            title: 'Closed',
            authenticator: 'oidc',
            clientId: 'closed',
            clientSecret: { file: 'secrets/closed' },
            scopes,
          },
          staff: { title: 'Staff', authenticator: 'staff', clientId: 'staff' },
        },
      },
    };
  }, askWithGo);
}

beforeAll(async () => {
  const begun = buildGoClient();
  browser = await shareBrowser();
  site = resources.use(await startProvidedSite());
  go = await begun;
});
afterAll(() => resources.disposeAsync());

interface Person {
  readonly name: string;
  readonly password: string;
}

/** Goes from the login page to the question. */
type Prove = (page: Page, person: Person) => Promise<void>;

const withPassword: Prove = async (page, { name, password }) => {
  await page.getByLabel('Username').fill(name);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Log in', exact: true }).click();
};

const atProvider =
  (title: string): Prove =>
  async (page, { name, password }) => {
    await page.getByRole('link', { name: `Log in with ${title}` }).click();
    await page.getByLabel('Login').fill(name);
    await page.getByLabel('Password').fill(password);
    await page.getByRole('button', { name: 'Log in' }).click();
  };

/** Waits for the URL that a desk opens. */
async function nextUrl(desk: Desk, count = 1): Promise<string> {
  const urls = await waitFor(async () => {
    const all = await desk.opened();
    return all.length >= count && all;
  }, 'a window');
  return urls[count - 1] ?? '';
}

/** Opens a URL in a browser of its own, and goes to the answers of the question. @returns what `act` returns */
async function inBrowser<Result>(
  url: string,
  act: (page: Page) => Promise<Result>,
): Promise<Result> {
  await using watched = await watchedPage(browser, { ignoreHTTPSErrors: true });
  await watched.page.goto(url);
  const result = await act(watched.page);
  expect(watched.complaints).toEqual([]);
  return result;
}

/** Logs in, and lets the browser give the code to the program that opened it. */
const confirmIn = (url: string, prove: Prove, person: Person, asked: RegExp) =>
  inBrowser(url, async (page) => {
    await prove(page, person);
    await page.getByRole('heading', { name: 'Log in to prod?' }).waitFor();
    expect(await page.getByRole('definition').allTextContents()).toContainEqual(
      expect.stringMatching(asked),
    );
    await page.getByRole('button', { name: 'Log in', exact: true }).click();
    await page.getByRole('heading', { name: 'Logged in' }).waitFor();
  });

const run = (words: readonly string[]) => site.place.replicas.operator.run(words);

/** Adds a person to the directory and to the provider. */
async function addPerson(name: string): Promise<Person & { readonly dn: string }> {
  const person = await site.place.people.add(name, `k8s-${name}`);
  accounts.push({
    sub: name,
    login: name,
    password: person.password,
    claims: { groups: ['of-the-provider'] },
  });
  return person;
}

interface Way {
  readonly way: string;
  readonly prove: Prove;
  readonly prefix: string;
  readonly groups: (name: string) => string;
  readonly isLookedUp: boolean;
}

const ways: readonly Way[] = [
  {
    way: 'a password on the page',
    prove: withPassword,
    prefix: 'corp',
    groups: (name) => `corp:k8s-${name}`,
    isLookedUp: true,
  },
  {
    way: 'a provider and PKCE alone',
    prove: atProvider('Open'),
    prefix: 'oidc',
    groups: () => 'oidc:of-the-provider',
    isLookedUp: false,
  },
  {
    way: 'a provider and a client secret',
    prove: atProvider('Closed'),
    prefix: 'oidc',
    groups: () => 'oidc:of-the-provider',
    isLookedUp: false,
  },
  {
    way: 'a provider and groups of the directory',
    prove: atProvider('Staff'),
    prefix: 'staff',
    groups: (name) => `corp:k8s-${name}`,
    isLookedUp: true,
  },
];

describe.each(ways)('with $way', ({ prove, prefix, groups, isLookedUp, way }) => {
  test('kubectl works once the browser is done, until a block, a logout, or the end of the account', async () => {
    const person = await addPerson(`p${ways.findIndex((one) => one.way === way)}`);
    const user = `${prefix}:${person.name}`;
    const asked = new RegExp(`^${user}$`);
    const desk = await newDesk(site);
    const first = desk.terminal('DISPLAY=:0 kubectl get namespaces -o name');
    await confirmIn(await nextUrl(desk), prove, person, asked);
    expect([await first.ended, first.shown()]).toEqual([
      0,
      expect.stringMatching(/\r\nnamespace\/default\r\n$/),
    ]);
    expect(await desk.kubectl(getNamespaces)).toEqual(done);
    const who = JSON.parse((await desk.sallyport(['whoami', '-o', 'json'])).stdout);
    expect(who).toMatchObject({ user, groups: [groups(person.name)] });

    const token = await tokenOf(desk);
    expect(await run(['block', '--user', user, '--for', '1h'])).toMatchObject({ code: 0 });
    await untilRefused(site, token);
    expect(await run(['unblock', '--user', user])).toMatchObject({ code: 0 });
    await waitFor(
      async () => (await site.reviews(token)).every(({ authenticated }) => authenticated),
      'the end of the block',
    );
    expect(await desk.kubectl(['sallyport', 'logout'])).toMatchObject({ code: 0 });
    await untilRefused(site, token);
    // No one looks an account up whose authenticator has no directory.
    if (!isLookedUp) return;

    const again = desk.terminal('DISPLAY=:0 kubectl sallyport login');
    await confirmIn(await nextUrl(desk, 2), prove, person, asked);
    expect(await again.ended).toBe(0);
    expect(again.shown()).toContain(`logged in to cluster prod as ${user} until `);
    expect(await desk.kubectl(getNamespaces)).toEqual(done);
    const second = await tokenOf(desk);
    await site.place.people.slapd.modify(`dn: ${person.dn}\nchangetype: delete\n`);
    await untilRefused(site, second);
  });
});

test('over SSH, the URL is opened elsewhere, and the code of the page is pasted into the terminal', async () => {
  const desk = await newDesk(site);
  const { alice } = site.place.people;
  const run = desk.terminal(
    "SSH_CONNECTION='192.0.2.1 1 192.0.2.2 22' kubectl sallyport login --print-url",
  );
  await waitFor(() => run.shown().includes('Code that the page shows: '), 'the question');
  const [url = ''] = /https:\S+\/login\/\S+/.exec(run.shown()) ?? [];
  const code = await inBrowser(url, async (page) => {
    await withPassword(page, alice);
    await page.getByRole('button', { name: 'Show a code to paste' }).click();
    return await page.getByLabel('Code').inputValue();
  });
  // With https://login.example.com:8444 before it, it has 100 characters.
  expect(new URL(url).pathname).toHaveLength(70);
  expect(code).toMatch(/^([\dA-Z]{4}-){3}[\dA-Z]{4}$/);
  // What was copied from somewhere else is not worth a request.
  run.type(`${code.slice(1)}\r`);
  await waitFor(() => run.shown().includes('This is not a code'), 'the second question');
  run.type(`${code}\r`);
  expect(await run.ended).toBe(0);
  expect(run.shown()).toContain('logged in to cluster prod as corp:alice until ');
  expect(await desk.opened()).toEqual([]);
  expect(await desk.kubectl(getNamespaces)).toEqual(done);
});

describe('kubectl without a terminal', () => {
  const get = (desk: Desk, env: object = display) => desk.kubectl(getNamespaces, { env });

  test('opens one browser for several processes, and all of them go on', async () => {
    const desk = await newDesk(site);
    const all = [get(desk), get(desk)];
    await confirmIn(await nextUrl(desk), withPassword, site.place.people.alice, /^corp:alice$/);
    // A process that is slow to start finds the session.
    const stderr = expect.stringMatching(
      /^(waiting for the login of another kubectl \(process \d+\)\n|logged in to cluster prod as corp:alice until .+\n)?$/,
    );
    for (const result of await Promise.all(all)) expect(result).toEqual({ ...done, stderr });
    expect(await desk.opened()).toHaveLength(1);
  });

  test('says that the login was cancelled, and opens no second browser', async () => {
    const desk = await newDesk(site);
    const ended = get(desk);
    const shown = await inBrowser(await nextUrl(desk), async (page) => {
      await withPassword(page, site.place.people.alice);
      await page.getByRole('button', { name: 'Cancel' }).click();
      await page.getByRole('heading', { level: 1, name: 'Login cancelled' }).waitFor();
      return page.url();
    });
    const { code, stdout, stderr } = await ended;
    expect([shown, code, stdout]).toEqual([`${site.url}/login/done/cancelled`, 1, '']);
    expect(stderr).toContain('the login was cancelled in the browser');
    expect(stderr).toContain('the browser that kubectl started in the last 15m led to no login');
    expect((await get(desk)).stderr).toContain('fix: run: kubectl sallyport login\n');
    expect(await desk.opened()).toHaveLength(1);
    // A login of the user ends the pause.
    const login = desk.terminal('DISPLAY=:0 kubectl sallyport login');
    await confirmIn(await nextUrl(desk, 2), withPassword, site.place.people.alice, /^corp:alice$/);
    expect(await login.ended).toBe(0);
    expect(await desk.sallyport(['logout'])).toMatchObject({ code: 0 });
    const next = get(desk);
    await confirmIn(await nextUrl(desk, 3), withPassword, site.place.people.alice, /^corp:alice$/);
    expect(await next).toEqual({ ...done, stderr: expect.stringMatching(/^logged in to .+\n$/) });
  });

  test('refuses another person who opened the link first, unless someone names them', async () => {
    const desk = await newDesk(site);
    const { alice, bob } = site.place.people;
    const first = get(desk);
    await confirmIn(await nextUrl(desk), withPassword, alice, /^corp:alice$/);
    expect(await first).toEqual({
      ...done,
      stderr: expect.stringMatching(/^logged in to cluster prod as corp:alice until .+\n$/),
    });
    expect(await desk.sallyport(['logout'])).toMatchObject({ code: 0 });
    const second = get(desk);
    await using watched = await watchedPage(browser, { ignoreHTTPSErrors: true });
    const { page } = watched;
    await page.goto(await nextUrl(desk, 2));
    await withPassword(page, bob);
    await page.getByRole('button', { name: 'Log in', exact: true }).click();
    await page.getByText('This login is for corp:alice, but corp:bob logged in.').waitFor();
    const { code, stdout, stderr } = await second;
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toContain(
      'corp:bob logged in, but the last login to cluster prod on this machine was corp:alice: this session was ended\n' +
        '  fix: log in as corp:alice. If you are corp:bob, because you use another account or yours was renamed, ' +
        'run: kubectl sallyport login --username bob\n',
    );
    const named = desk.terminal('DISPLAY=:0 kubectl sallyport login --username bob');
    await confirmIn(await nextUrl(desk, 3), withPassword, bob, /^corp:bob$/);
    expect(await named.ended).toBe(0);
    expect(await desk.kubectl(getNamespaces)).toEqual(done);
  });

  test('ends when no one uses the browser', async () => {
    const desk = await newDesk(site);
    // For this process, the minutes are over as soon as the browser is there.
    const hurry = `
      import { existsSync } from 'node:fs';
      const wait = setTimeout;
      globalThis.setTimeout = (act, time, ...more) => {
        const check = () => (existsSync('${desk.home}/opened') ? act(...more) : wait(check, 5).unref());
        return time < 100_000 ? wait(act, time, ...more) : wait(check, 5);
      };`;
    const NODE_OPTIONS = `--import=data:text/javascript,${encodeURIComponent(hurry)}`;
    const { code, stdout, stderr } = await get(desk, { ...display, NODE_OPTIONS });
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/no one logged in .* within 5m\n/);
    expect(stderr).toContain('fix: run: kubectl sallyport login\n');
    expect(await desk.opened()).toHaveLength(1);
  });

  test.each([
    { name: 'SALLYPORT_BROWSER is never', env: { ...display, SALLYPORT_BROWSER: 'never' } },
    { name: 'there is no display', env: {} },
    { name: 'it runs over SSH', env: { ...display, SSH_CONNECTION: '192.0.2.1 1 192.0.2.2 22' } },
  ])('opens no browser when $name', async ({ env }) => {
    const desk = await newDesk(site);
    const { code, stdout, stderr } = await get(desk, env);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toContain('fix: run: kubectl sallyport login\n');
    expect(await desk.opened()).toEqual([]);
  });
});

/** Makes a code for another login, of Bob: an attacker who gets it into another person's program makes that person work as Bob. */
async function foreignCode(): Promise<{ readonly id: string; readonly code: string }> {
  await using begun = await beginLogin(site, { listens: false });
  return await inBrowser(begun.url, async (page) => {
    await withPassword(page, site.place.people.bob);
    await page.getByRole('button', { name: 'Show a code to paste' }).click();
    return { id: begun.id, code: await page.getByLabel('Code').inputValue() };
  });
}

test('a hostile page that knows the port can give the waiting program no code, and learns nothing from it', async () => {
  const { id, code } = await foreignCode();
  const desk = await newDesk(site);
  const ended = desk.kubectl(getNamespaces, { env: display });
  const url = await nextUrl(desk);
  await using watched = await watchedPage(browser, { ignoreHTTPSErrors: true });
  const { page } = watched;
  const policy = (await page.goto(url))?.headers()['content-security-policy'];
  const looks = await readLooks(page);
  const [listener = ''] = /http:\/\/127\.0\.0\.1:\d+/.exec(policy ?? '') ?? [];
  await using hostile = await startHostileServer();
  const target = `${listener}/?id=${id}&code=${code}`;
  // What an attacker can't know: this would end the login, if it were a navigation.
  const [{ name = '' } = {}] = await page.context().cookies();
  const cancel = `${listener}/?cancelled=${name.replace('__Host-sallyport-', '')}`;
  hostile.pages.set('/', `<iframe src="${cancel}"></iframe><img src="${cancel}">`);
  await page.goto(`https://evil.example:${hostile.port}/`);
  expect(page.frames().map((frame) => frame.url())).toContain('chrome-error://chromewebdata/');
  const fetching = (mode: RequestMode) =>
    page.evaluate(
      ([address, how]) =>
        fetch(address, { mode: how }).then(
          ({ type }) => type,
          ({ name }: Error) => name,
        ),
      [cancel, mode] as const,
    );
  expect([await fetching('cors'), await fetching('no-cors')]).toEqual(['TypeError', 'TypeError']);
  // Only a navigation reaches the program, which knows that this code is not for its login.
  await page.evaluate((address) => location.assign(address), target);
  await page.getByRole('heading', { level: 1, name: 'Nothing to do' }).waitFor();
  expect(await readLooks(page)).toEqual(looks);
  await page.goto(`${listener}/?cancelled=${id}`);
  await page.getByRole('heading', { level: 1, name: 'Nothing to do' }).waitFor();
  await confirmIn(url, withPassword, site.place.people.alice, /^corp:alice$/);
  expect(await ended).toEqual({ ...done, stderr: expect.stringMatching(/^logged in to .+\n$/) });
  expect((await desk.sallyport(['whoami'])).stdout).toContain('corp:alice');
});
