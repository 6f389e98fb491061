import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Brand, defaultBrand, writePage } from './document.ts';
import { html } from './html.ts';
import type { AttemptView } from './layout.ts';
import { attributeOf, tagsOf, titleOf, wordsOf } from './testing/page-parts.ts';
import {
  appPage,
  codePage,
  confirmPage,
  factorPage,
  factorsPage,
  loginPage,
  messagePage,
  recoveryCodesPage,
} from './testing/written-pages.ts';
import { type LoginProblem, type MessageKind, messages, problems } from './texts.ts';

const attempt: AttemptView = {
  cluster: 'prod',
  device: 'jane-laptop',
  address: '192.0.2.7',
  isOtherAddress: false,
};
const elsewhere: AttemptView = { ...attempt, isOtherAddress: true };
const okta = { name: 'okta', title: 'Example SSO' };
const login = {
  attempt,
  path: '/login/abc',
  form: 'csrf',
  passwords: true,
  providers: [okta],
  username: undefined,
  problem: undefined,
};
const app = {
  secret: 'SECRET',
  uri: 'otpauth://totp/x',
  problem: 'wrong-code',
  minutes: undefined,
} as const;
const confirm = {
  attempt,
  path: '/login/abc',
  form: 'csrf',
  username: 'corp:jane',
  provider: undefined,
  hasListener: true,
};

describe('the login page', () => {
  test('says what the login is for, and names no user', () => {
    const page = loginPage(login);
    expect(titleOf(page)).toBe('Log in to prod');
    for (const word of ['prod', 'jane-laptop', '192.0.2.7']) expect(wordsOf(page)).toContain(word);
    expect(page).not.toContain('role="alert"');
    expect(wordsOf(page)).not.toContain('another address');
  });

  test('asks who has not started the login to close it, once', () => {
    for (const one of [attempt, elsewhere]) {
      const words = wordsOf(loginPage({ ...login, attempt: one }));
      expect(
        words.split('If you did not start this login yourself, close this page.'),
      ).toHaveLength(2);
    }
  });

  test('has the provider first after a problem there, which asks for another user after a refusal', () => {
    const linkOf = (problem: LoginProblem | undefined) => {
      const page = loginPage({ ...login, problem });
      const isFirst = page.indexOf('/provider/okta') < page.indexOf('id="password"');
      const [, query] = /href="\/login\/abc\/provider\/okta([^"]*)"/.exec(page) ?? [];
      return [isFirst, query, page.includes('autofocus')];
    };
    expect(linkOf(undefined)).toEqual([false, '', true]);
    expect(linkOf('wrong-credentials')).toEqual([false, '', true]);
    expect(linkOf('provider-failed')).toEqual([true, '', false]);
    expect(linkOf('provider-refused')).toEqual([true, '?other', false]);
  });

  test('leaves out a cluster and a device that have no name', () => {
    const page = loginPage({
      ...login,
      attempt: { ...attempt, cluster: undefined, device: undefined },
    });
    expect([titleOf(page), tagsOf(page, 'dd').length]).toEqual(['Log in', 1]);
  });

  test('sends a form with the name and the password', () => {
    const page = loginPage(login);
    expect(tagsOf(page, 'form')).toEqual(['<form method="post" action="/login/abc/password">']);
    const [form, username, password] = tagsOf(page, 'input');
    expect(form).toBe('<input type="hidden" name="form" value="csrf">');
    expect(username).toMatch(/id="username" name="username".* autocomplete="username"/s);
    expect(password).toMatch(/name="password" type="password".* autocomplete="current-password"/s);
  });

  test('has a link for each provider, and only what is configured', () => {
    const link = '<a class="button" href="/login/abc/provider/okta">';
    expect(tagsOf(loginPage(login), 'a')).toEqual([link]);
    const withoutPasswords = loginPage({ ...login, passwords: false });
    expect([tagsOf(withoutPasswords, 'form'), tagsOf(withoutPasswords, 'h2')]).toEqual([[], []]);
    const withoutProviders = loginPage({ ...login, providers: [] });
    expect([tagsOf(withoutProviders, 'a'), tagsOf(withoutProviders, 'h2')]).toEqual([[], []]);
    const odd = { name: 'a/b?c#d"', title: 'x' };
    expect(tagsOf(loginPage({ ...login, providers: [odd] }), 'a')[0]).toContain(
      '/provider/a%2Fb%3Fc%23d%22"',
    );
  });

  test('without passwords, the only provider is the main button, and a problem is tied to it', () => {
    const options = { ...login, passwords: false, problem: 'provider-failed' } as const;
    const [link] = tagsOf(loginPage(options), 'a');
    expect(link).toContain('class="button primary"');
    expect(link).toContain('aria-describedby="problem"');
    const two = tagsOf(loginPage({ ...options, providers: [okta, okta] }), 'a');
    expect(two.filter((tag) => tag.includes('aria-describedby'))).toHaveLength(1);
    expect(two.join()).not.toContain('primary');
  });

  test.each([
    [undefined, 'username', ''],
    ['jane', 'password', 'jane'],
    ['ja\u202ene', 'username', ''],
    ['زهرا\u200cسادات', 'password', 'زهرا\u200cسادات'],
  ])('with the name %j, the focus is on the %s', (username, focused, value) => {
    const inputs = tagsOf(loginPage({ ...login, username }), 'input');
    expect(inputs.filter((tag) => tag.includes(' autofocus')).join()).toContain(
      `name="${focused}"`,
    );
    expect(inputs[1]).toContain(`value="${value}"`);
  });

  test.each(Object.keys(problems) as LoginProblem[])('reports %s', (problem) => {
    const page = loginPage({ ...login, problem });
    expect(titleOf(page)).toBe(`${problems[problem].title} - Log in to prod`);
    expect(page).toContain('role="alert" id="problem"');
    expect(page).toContain('aria-describedby="problem"');
    expect(wordsOf(page)).toContain(`Error: ${problems[problem].text}`);
    expect(page.includes('aria-invalid')).toBe(problem === 'wrong-credentials');
  });
});

test('who wants to change their factors gets the form for passwords alone, without facts of a login', () => {
  const page = loginPage({ ...login, attempt: elsewhere, isVisit: true, username: 'jane' });
  expect(titleOf(page)).toBe('Log in to change your second factor');
  expect(tagsOf(page, 'form')).toEqual(['<form method="post" action="/login/abc/password">']);
  expect([tagsOf(page, 'a'), tagsOf(page, 'dl')]).toEqual([[], []]);
  expect(wordsOf(page)).not.toMatch(/prod|jane-laptop|192\.0\.2\.7|did not start this login/);
  expect(tagsOf(page, 'input').at(-1)).toContain(' autofocus');
  const invited = loginPage({ ...login, isVisit: true, isInvited: true });
  expect(titleOf(invited)).toBe('Log in to set up your second factor');
  const again = loginPage({ ...login, isVisit: true, problem: 'wrong-credentials' });
  expect(titleOf(again)).toBe('Wrong name or password - Log in to change your second factor');
  expect(again).toContain('role="alert" id="problem"');
});

describe('the confirm page', () => {
  const answersOf = (page: string) =>
    [
      ...page.matchAll(
        /<button( class="primary")? name="answer" value="(\w+)"(?: formnovalidate)?>/g,
      ),
    ].map(([, primary, answer]) => (primary ? `${answer}!` : answer));

  test('says who logs in where, and asks', () => {
    const page = confirmPage({ ...confirm, provider: 'Example SSO' });
    const facts = ['corp:jane', 'Example SSO', 'prod', 'jane-laptop', '192.0.2.7'];
    for (const word of [...facts, 'If you did not start this login, cancel.']) {
      expect(wordsOf(page)).toContain(word);
    }
    expect(tagsOf(page, 'form')).toEqual([
      '<form method="post" action="/login/abc/confirm" data-delayed>',
    ]);
  });

  test('has a box to tick where its script does not run, and cancels without it', () => {
    const page = confirmPage(confirm);
    expect(tagsOf(page, 'input')).toEqual([
      '<input type="hidden" name="form" value="csrf">',
      '<input type="checkbox" required>',
    ]);
    expect(page.match(/value="\w+" formnovalidate>/g)).toEqual(['value="cancel" formnovalidate>']);
  });

  test.each([
    { hasListener: true, answers: ['redirect!', 'code', 'cancel'] },
    { hasListener: false, answers: ['code!', 'cancel'] },
  ])('with a listener: $hasListener, the answers are $answers', ({ hasListener, answers }) => {
    expect(answersOf(confirmPage({ ...confirm, hasListener }))).toEqual(answers);
  });
});

test('the pages before a login is given warn of another address', () => {
  const warning = 'This login was started from another address (192.0.2.7)';
  const page = loginPage({ ...login, attempt: elsewhere, problem: 'wrong-credentials' });
  expect(wordsOf(page)).toContain(warning);
  expect(wordsOf(page)).toContain('If you did not start this login yourself, close this page.');
  expect(page).toContain('aria-describedby="problem warning"');
  expect(page).not.toContain('autofocus');
  expect(wordsOf(confirmPage({ ...confirm, attempt: elsewhere }))).toContain(warning);
  expect(wordsOf(confirmPage(confirm))).not.toContain(warning);
});

test('the code page has the code, and says what to do with it', () => {
  const code = 'ABCD-EFGH-JKMN-2345';
  const page = codePage({ attempt, username: 'corp:jane', code });
  expect(attributeOf(tagsOf(page, 'input')[0] ?? '', 'value')).toBe(code);
  for (const words of ['60s', 'corp:jane', 'jane-laptop', 'Never give this code']) {
    expect(wordsOf(page)).toContain(words);
  }
});

describe('the message page', () => {
  test.each(Object.keys(messages) as MessageKind[])('%s says what to do next', (kind) => {
    const page = messagePage({ kind });
    expect(titleOf(page)).toBe(messages[kind].title);
    expect(page.match(/<p>.+?<\/p>/gs)).toHaveLength(2);
    expect(tagsOf(page, 'a')).toEqual([]);
    expect(tagsOf(messagePage({ kind, retryPath: '/login/abc' }), 'a')).toEqual([
      '<a class="button" href="/login/abc">',
    ]);
  });

  test('leads from the home page to the second factors, if the server has them', () => {
    const links = (factors?: string) => tagsOf(messagePage({ kind: 'home', factors }), 'a');
    expect([links(), links('/login/factors')]).toEqual([
      [],
      ['<a class="button" href="/login/factors">'],
    ]);
  });

  test.each([
    { wait: undefined, words: 'Wait a minute, then try again.' },
    { wait: 0, words: 'Wait 1s, then try again.' },
    { wait: 29.2, words: 'Wait 30s, then try again.' },
  ])('after too many requests, with a wait of $wait: $words', ({ wait, words }) => {
    expect(wordsOf(messagePage({ kind: 'too-many', wait }))).toContain(words);
    expect(wordsOf(messagePage({ kind: 'unavailable', wait }))).toContain('your administrator');
  });
});

/** Makes every kind of page, with these words wherever a page takes words. */
function pagesOf(words: string): { readonly plain: string[]; readonly scripted: string[] } {
  const attempt = { cluster: words, device: words, address: words, isOtherAddress: true };
  const [path, form, username, code] = [words, words, words, words];
  const providers = [{ name: words, title: words }];
  const given = { attempt, path, form, username };
  const factor = { id: words, method: 'totp', name: words, addedAt: 0, usedAt: 0 } as const;
  const passkey = { options: { [words]: words } };
  const asked = { ...given, methods: [], isVisit: false, problem: undefined };
  const own = {
    ...given,
    factors: [factor, factor],
    recoveryCodes: 0,
    notice: undefined,
    problem: undefined,
  };
  const methods = ['totp', 'passkey'] as const;
  return {
    plain: [
      loginPage({ ...login, ...given, providers }),
      loginPage({ ...login, ...given, isVisit: true }),
      factorPage({ ...asked, passkey: undefined }),
      factorsPage({ ...own, methods: ['totp'], passkey: undefined }),
      // No one else makes the secret and its QR code, whose elements depend on them.
      appPage({ ...app, path, form, enrolment: words, label: words }),
      recoveryCodesPage({ path, codes: [words], areRenewed: true }),
      messagePage({ kind: 'expired', retryPath: words, factors: words }),
    ],
    scripted: [
      codePage({ attempt, username, code }),
      factorPage({ ...asked, passkey }),
      factorsPage({ ...own, methods, passkey }),
      confirmPage({ ...confirm, ...given, provider: words }),
    ],
  };
}

const scriptOf = (page: string) => /<script>(.*)<\/script>/s.exec(page)?.[1] ?? '';
const allOf = (words: string) => Object.values(pagesOf(words)).flat();

/**
 * Returns the tags of a page with their attributes, whose values are left out. Descriptions and the focus are left out, since
 * they are at the field to fill in next, which depends on the name.
 */
const structureOf = (page: string) =>
  page
    .match(/<[^<>]*>/g)
    ?.map((tag) => tag.replace(/"[^"]*"/g, '""').replace(/ aria-describedby=""| autofocus/g, ''));

test('whatever a page shows, it has the same elements and no mark that reorders words', () => {
  const plain = allOf('name').map(structureOf);
  const markup = fc.constantFrom('<', '>', '"', "'", '&', '</title>', '-->', '=', '`', '\u202e');
  const anyUnit = fc.nat(0xffff).map((unit) => String.fromCharCode(unit));
  const hostile = fc.array(fc.oneof(markup, anyUnit)).map((parts) => `x${parts.join('')}`);
  fc.assert(
    fc.property(hostile, (words) => {
      const pages = allOf(words);
      for (const page of pages) expect(page).not.toMatch(/[\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}]/u);
      expect(pages.map(structureOf)).toEqual(plain);
    }),
  );
});

test('names whose letters run from right to left are isolated from the words next to them', () => {
  const name = 'שלום';
  const view = { cluster: name, device: name, address: name, isOtherAddress: true };
  const factor = { id: 'f1', method: 'totp', name, addedAt: 0, usedAt: undefined } as const;
  const own = { username: name, factors: [factor, factor], recoveryCodes: 0, methods: [] };
  const { path, form } = login;
  const none = { passkey: undefined, notice: undefined, problem: undefined };
  const pages = [
    loginPage({ ...login, attempt: view }),
    confirmPage({ ...confirm, attempt: view, username: name, provider: name }),
    codePage({ attempt: view, username: name, code: 'code' }),
    factorPage({ ...none, attempt: view, path, form, methods: [], isVisit: false }),
    factorsPage({ ...none, ...own, path, form }),
    appPage({ ...app, path, form, enrolment: 'sealed', label: name }),
  ];
  for (const page of pages) {
    const body = page.slice(page.indexOf('<body>'));
    expect(body).toContain(`<bdi>${name}</bdi>`);
    expect(body.replaceAll(`<bdi>${name}</bdi>`, '')).not.toContain(name);
  }
});

test('all pages are documents in English with one heading, without other resources', () => {
  for (const page of allOf('name')) {
    expect(page).toMatch(/^<!doctype html>\n<html lang="en">/);
    expect([tagsOf(page, 'h1').length, tagsOf(page, 'main').length]).toEqual([1, 1]);
    expect(page).toContain('name="viewport"');
    expect(page).not.toMatch(/<(link|img)\b|<script\b[^>]| on\w+=|\sstyle=|url\(/);
  }
});

test('pages without a passkey, a confirmation or a code have no script, and the others have the same one', () => {
  const { plain, scripted } = pagesOf('name');
  for (const page of plain) expect(page).not.toMatch(/<script|data-/);
  const scripts = [...scripted, ...pagesOf('<other>').scripted].map(scriptOf);
  expect(new Set(scripts).size).toBe(1);
  // A page that is hostile, or a policy of trusted types, must find nothing here that makes HTML or code from text.
  expect(scripts[0]).not.toMatch(
    /innerHTML|outerHTML|insertAdjacent|write(?!Text\()|eval|Function|import|src|<\//,
  );
});

describe('the headers', () => {
  const publicUrl = 'https://login.example.com';
  const plain = { title: 'Title', content: html`<h1>Title</h1>` };
  const { headers } = writePage(plain, { publicUrl, brand: defaultBrand });

  test('allow the style of the pages and nothing else', () => {
    const style = loginPage(login).match(/<style>(.*)<\/style>/s)?.[1] ?? '';
    const hash = createHash('sha256').update(style).digest('base64');
    expect(style.length).toBeLessThan(4096);
    expect(headers['Content-Security-Policy']).toBe(
      `default-src 'none'; style-src 'sha256-${hash}'; form-action 'self'; ` +
        "frame-ancestors 'none'; base-uri 'none'",
    );
  });

  test('allow the script on the pages that have it, and there alone', () => {
    const [page = ''] = pagesOf('name').scripted;
    const hash = createHash('sha256').update(scriptOf(page)).digest('base64');
    const scripted = writePage({ ...plain, hasScript: true }, { publicUrl, brand: defaultBrand });
    const policy = scripted.headers['Content-Security-Policy'];
    expect(policy).toContain(`; script-src 'sha256-${hash}'; form-action `);
    expect(policy?.replace(`script-src 'sha256-${hash}'; `, '')).toBe(
      headers['Content-Security-Policy'],
    );
  });

  test('allow a form to end at the client that listens', () => {
    const page = writePage(plain, { publicUrl, brand: defaultBrand, listener: 4711 });
    expect(page.headers['Content-Security-Policy']).toContain(
      "; form-action 'self' http://127.0.0.1:4711; ",
    );
  });

  test('let no one keep, frame or guess a page', () => {
    expect(headers).toMatchObject({
      'Cache-Control': 'no-store',
      'Referrer-Policy': 'same-origin',
      'X-Content-Type-Options': 'nosniff',
      'X-Frame-Options': 'DENY',
      'Cross-Origin-Opener-Policy': 'same-origin',
      'Cross-Origin-Resource-Policy': 'same-origin',
    });
  });

  test('ask for https where the page has it', () => {
    const options = { publicUrl: 'http://127.0.0.1:8080', brand: defaultBrand };
    const { headers: onLoopback } = writePage(plain, options);
    expect(headers['Strict-Transport-Security']).toBe('max-age=31536000');
    expect(onLoopback).not.toHaveProperty('Strict-Transport-Security');
  });
});

describe('the header', () => {
  const show = (brand: Brand) =>
    writePage(
      { title: 'Title', content: html`<h1>Title</h1>` },
      { publicUrl: 'https://login.example.com', brand },
    );
  const readHeader = ({ body }: ReturnType<typeof show>) =>
    /<header>(.*)<\/header>/.exec(body)?.[1] ?? '';

  test('shows the title of the config as text', () => {
    expect(readHeader(show(defaultBrand))).toBe('Sallyport');
    expect(readHeader(show({ title: '<b>Acme & Sons</b>', logo: undefined }))).toBe(
      '&lt;b&gt;Acme &amp; Sons&lt;/b&gt;',
    );
  });

  test('shows a logo in place of the title, which a screen reader reads, and allows no other image', () => {
    const logo = 'data:image/png;base64,iVBORw0KGgo=';
    const page = show({ title: 'Acme "A"', logo });
    const [image = ''] = tagsOf(readHeader(page), 'img');
    expect([attributeOf(image, 'src'), attributeOf(image, 'alt')]).toEqual([logo, 'Acme "A"']);
    expect(readHeader(page)).toBe(image);
    const policy = page.headers['Content-Security-Policy'];
    expect(policy).toContain('; img-src data:; ');
    const plain = show({ title: 'Acme', logo: undefined }).headers['Content-Security-Policy'];
    expect(policy?.replace('img-src data:; ', '')).toBe(plain);
  });
});
