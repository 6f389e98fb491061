import { anyCharacter } from '@sallyport/scripts/any-character';
import fc from 'fast-check';
import { encode } from 'uqr';
import { describe, expect, test } from 'vitest';
import type { FactorMethod } from '../../config/second-factor.ts';
import { html, render } from './html.ts';
import { attributeOf, tagsOf, titleOf, wordsOf } from './testing/page-parts.ts';
import { appPage, factorPage, factorsPage, recoveryCodesPage } from './testing/written-pages.ts';
import {
  type FactorProblem,
  type FactorsProblem,
  factorNotices,
  factorProblems,
  factorsProblems,
  passkeyErrors,
} from './texts.ts';

const path = '/login/abc';
const form = 'csrf';
const hiddenForm = '<input type="hidden" name="form" value="csrf">';
const passkey = { options: { challenge: 'abc' } };
const attempt = {
  cluster: 'prod',
  device: 'jane-laptop',
  address: '192.0.2.7',
  isOtherAddress: false,
};
const elsewhere = { ...attempt, isOtherAddress: true };
const proof = {
  attempt,
  path,
  form,
  methods: ['totp'] as readonly FactorMethod[],
  passkey: undefined,
  isVisit: false,
  problem: undefined,
};

describe('the page that asks for a second factor', () => {
  test('says what the login is for, and asks who has not started it to close it', () => {
    const page = factorPage(proof);
    expect(titleOf(page)).toBe('Second factor - Log in to prod');
    for (const word of ['prod', 'jane-laptop', '192.0.2.7', 'If you did not start this login'])
      expect(wordsOf(page)).toContain(word);
    expect(page).not.toContain('role="alert"');
  });

  test('warns of another address, next to what is used first, and does not scroll the warning away', () => {
    const page = factorPage({ ...proof, attempt: elsewhere, problem: 'wrong-code' });
    expect(wordsOf(page)).toContain('This login was started from another address (192.0.2.7)');
    expect(page).toContain('aria-describedby="problem warning"');
    expect(page).not.toContain('autofocus');
  });

  test('names no cluster, device or address to a person who wants to change their factors', () => {
    const page = factorPage({ ...proof, attempt: elsewhere, isVisit: true });
    expect(titleOf(page)).toBe('Second factor - Change your second factor');
    expect([tagsOf(page, 'dl'), page.includes('192.0.2.7')]).toEqual([[], false]);
    expect(page).toContain(' autofocus');
  });

  test('sends a form with a code, which is no word for a dictionary', () => {
    const page = factorPage(proof);
    expect(tagsOf(page, 'form')).toEqual(['<form method="post" action="/login/abc/factor">']);
    const [token, code = ''] = tagsOf(page, 'input');
    expect(token).toBe(hiddenForm);
    expect(code).toMatch(/name="code" required maxlength="64" autocomplete="one-time-code"/);
    expect(code).toMatch(/autocapitalize="none" autocorrect="off" spellcheck="false"/);
    // Recovery codes have letters.
    expect(code).not.toContain('inputmode');
  });

  test.each<[FactorMethod[], typeof passkey | undefined, string, string[], boolean]>([
    [
      ['totp'],
      undefined,
      'Code from your authenticator app, or a recovery code',
      ['/factor'],
      true,
    ],
    [[], undefined, 'Recovery code', ['/factor'], true],
    [
      ['totp', 'passkey'],
      passkey,
      'Code from your authenticator app, or a recovery code',
      ['/factor', '/passkey'],
      true,
    ],
    [['passkey'], passkey, 'Recovery code', ['/passkey', '/factor'], false],
  ])(
    'with the methods %j and the passkey %j, it asks for: %s',
    (methods, key, label, order, hasFocus) => {
      const page = factorPage({ ...proof, methods, passkey: key, problem: 'unavailable' });
      expect(page).toContain(`<label for="code">${label}</label>`);
      expect(tagsOf(page, 'form').map((tag) => attributeOf(tag, 'action'))).toEqual(
        order.map((end) => `${path}${end}`),
      );
      expect(tagsOf(page, 'h2')).toHaveLength(key === undefined ? 0 : 2);
      expect(page.includes(' autofocus')).toBe(hasFocus);
      // The first form has the main button, and a screen reader that goes there hears the problem.
      const [, first = '', second = ''] = page.split('<form');
      expect(first).toContain('class="primary"');
      expect(first).toContain('aria-describedby="problem"');
      expect(second).not.toMatch(/primary|describedby/);
    },
  );

  test.each(Object.keys(factorProblems) as FactorProblem[])('reports %s', (problem) => {
    const page = factorPage({ ...proof, problem });
    const { title, text } = factorProblems[problem];
    expect(titleOf(page)).toBe(`${title} - Second factor - Log in to prod`);
    expect(page).toContain('role="alert" id="problem"');
    expect(wordsOf(page)).toContain(`Error: ${text}`);
    expect(page.includes('aria-invalid')).toBe(problem === 'wrong-code');
  });
});

describe('a form for a passkey', () => {
  const formOf = (page: string) =>
    /<form [^>]*data-passkey.*?<\/form>\n<p>.*?<\/p>/s.exec(page)?.[0] ?? '';
  const asking = { ...proof, methods: ['passkey'] as const, passkey };

  test('is hidden until the script shows it, next to a note for browsers without scripts', () => {
    const shown = formOf(factorPage(asking));
    expect(tagsOf(shown, 'form')[0]).toMatch(/ data-passkey="get" .* hidden>$/);
    expect(wordsOf(shown)).toMatch(/A passkey needs JavaScript.* A code works without it\.$/);
    expect(tagsOf(shown, 'input')).toEqual([hiddenForm, '<input type="hidden" name="response">']);
  });

  test('has a text for each thing that can go wrong in the browser', () => {
    const shown = formOf(factorPage(asking));
    const boxes = tagsOf(shown, 'p').filter((tag) => tag.includes('role="alert"'));
    expect(boxes.map((tag) => attributeOf(tag, 'data-error'))).toEqual(Object.keys(passkeyErrors));
    for (const box of boxes) expect(box).toMatch(/ hidden>$/);
    for (const text of Object.values(passkeyErrors)) expect(wordsOf(shown)).toContain(text);
  });

  test('gives the script the options that it got, whatever their texts are', () => {
    const marks = fc.constantFrom(
      '<',
      '>',
      '"',
      "'",
      '&',
      '&amp;',
      '\\',
      '\u202e',
      '\x85',
      '\u2028',
      '\n',
    );
    const word = fc.string({ unit: fc.oneof(marks, anyCharacter) });
    fc.assert(
      fc.property(word, (name) => {
        const options = { user: { name } };
        const [tag = ''] = tagsOf(formOf(factorPage({ ...asking, passkey: { options } })), 'form');
        expect(JSON.parse(attributeOf(tag, 'data-options') ?? '')).toEqual(options);
      }),
    );
  });
});

const phone = {
  id: 'f1',
  method: 'totp',
  name: 'phone',
  addedAt: Date.UTC(2026, 0, 2, 3, 4, 59),
  usedAt: Date.UTC(2026, 1, 3, 4, 5),
} as const;
const laptop = {
  ...phone,
  id: 'f2',
  method: 'passkey',
  name: 'laptop',
  usedAt: undefined,
} as const;
const own = {
  path,
  form,
  username: 'corp:jane',
  factors: [phone, laptop],
  recoveryCodes: 10,
  methods: ['totp', 'passkey'] as readonly FactorMethod[],
  passkey,
  notice: undefined,
  problem: undefined,
};

describe('the page of the own second factors', () => {
  const actionsOf = (page: string) =>
    [...page.matchAll(/name="action" value="([\w-]+)"/g)].map(([, action]) => action);

  test('lists them with their dates in UTC', () => {
    const words = wordsOf(factorsPage(own));
    expect(words).toContain('corp:jane');
    expect(words).toMatch(
      /phone Method ?Authenticator app Added ?2026-01-02 03:04 UTC Last used ?2026-02-03 04:05 UTC/,
    );
    expect(words).toMatch(/laptop Method ?Passkey Added ?2026-01-02 03:04 UTC Last used ?Never/);
    expect(tagsOf(factorsPage(own), 'time')[1]).toBe('<time datetime="2026-02-03T04:05:00.000Z">');
  });

  test('has a button for each that names what it removes', () => {
    const page = factorsPage(own);
    for (const [index, { id, name }] of own.factors.entries()) {
      expect(page).toContain(`<h2 id="factor-${index}"><bdi>${name}</bdi></h2>`);
      expect(page).toMatch(
        new RegExp(
          `name="action" value="remove">\n<input type="hidden" name="id" value="${id}">\n` +
            `<button id="remove-${index}" aria-labelledby="remove-${index} factor-${index}">Remove<`,
        ),
      );
    }
  });

  test.each([
    {
      name: 'two factors',
      factors: own.factors,
      actions: ['remove', 'remove', 'app', 'passkey', 'recovery'],
      words: undefined,
    },
    {
      name: 'only one, which can not be removed',
      factors: [phone],
      actions: ['app', 'passkey', 'recovery'],
      words: 'add another one first',
    },
    {
      name: 'none, as after an invitation',
      factors: [],
      actions: ['app', 'passkey'],
      words: 'You have no second factor yet',
    },
  ])('with $name, offers what can be done', ({ factors, actions, words = '' }) => {
    const page = factorsPage({ ...own, factors });
    expect(actionsOf(page)).toEqual(actions);
    expect(wordsOf(page)).toContain(words);
  });

  test.each<[FactorMethod[], typeof passkey | undefined, string[]]>([
    [['totp'], undefined, ['app']],
    [['passkey'], passkey, ['passkey']],
    [['totp', 'passkey'], undefined, ['app']],
  ])('with the methods %j and the passkey %j, a person can add: %j', (methods, key, actions) => {
    const page = factorsPage({ ...own, factors: [], methods, passkey: key });
    expect(actionsOf(page)).toEqual(actions);
    expect(tagsOf(page, 'script')).toHaveLength(actions.includes('passkey') ? 1 : 0);
  });

  test('asks for a name of each factor, no longer than the server takes', () => {
    const fields = tagsOf(factorsPage(own), 'input').filter((tag) => tag.includes('name="label"'));
    expect(fields.map((tag) => attributeOf(tag, 'id'))).toEqual(['app-name', 'passkey-name']);
    for (const field of fields) expect(field).toContain('required maxlength="64"');
  });

  test.each([
    { recoveryCodes: 10, words: 'You have 10 recovery codes left.', isWarning: false },
    { recoveryCodes: 3, words: 'You have 3 recovery codes left.', isWarning: false },
    { recoveryCodes: 2, words: 'You have 2 recovery codes left.', isWarning: true },
    {
      recoveryCodes: 1,
      words: 'You have 1 recovery code left. A recovery code works once',
      isWarning: true,
    },
    { recoveryCodes: 0, words: 'You have no recovery codes left.', isWarning: true },
  ])(
    'with $recoveryCodes recovery codes says so, and warns: $words $isWarning',
    ({ recoveryCodes, words, isWarning }) => {
      const page = factorsPage({ ...own, recoveryCodes });
      expect(wordsOf(page)).toContain(words);
      expect(page.includes('class="box warning"')).toBe(isWarning);
    },
  );

  test('says what was done, in a status that interrupts no one', () => {
    for (const notice of ['added', 'removed'] as const) {
      const page = factorsPage({ ...own, notice });
      expect(page).toContain(render(html`role="status">${factorNotices[notice]}</p>`));
    }
    expect(factorsPage(own)).not.toContain('role="status"');
  });

  test.each(Object.keys(factorsProblems) as FactorsProblem[])('reports %s', (problem) => {
    const page = factorsPage({ ...own, problem });
    expect(titleOf(page)).toBe(`${factorsProblems[problem].title} - Your second factors`);
    expect(wordsOf(page)).toContain(`Error: ${factorsProblems[problem].text}`);
  });
});

describe('the page that adds an app', () => {
  const app = {
    path,
    form,
    secret: 'JBSWY3DPEHPK3PXPABCDEFGHIJKLMN76',
    uri: 'otpauth://totp/login.example.com:jane?secret=JBSWY3DPEHPK3PXPABCDEFGHIJKLMN76',
    enrolment: 'sealed',
    label: 'phone',
    problem: undefined,
    minutes: undefined,
  };

  /** Reads the modules that a path of runs has drawn. */
  function drawn(page: string, size: number): boolean[][] {
    const rows = Array.from({ length: size }, () => Array<boolean>(size).fill(false));
    const [, path = ''] = tagsOf(page, 'path');
    for (const [, x, y, length, back] of path.matchAll(/M(\d+) (\d+)h(\d+)v1h-(\d+)z/g)) {
      expect(back).toBe(length);
      rows[Number(y)]?.fill(true, Number(x), Number(x) + Number(length));
    }
    return rows;
  }

  test('draws the QR code of the URI in black on white, with its margin', () => {
    const page = appPage(app);
    const { size, data } = encode(app.uri, { boostEcc: true, border: 4 });
    expect(drawn(page, size)).toEqual(data);
    expect(tagsOf(page, 'path')[0]).toBe(`<path fill="#fff" d="M0 0h${size}v${size}H0z"/>`);
    expect(tagsOf(page, 'svg')[0]).toContain(
      'role="img" aria-label="QR code for an authenticator app"',
    );
    expect(page).toContain(`<a class="button" href="${app.uri}">`);
  });

  test('has no QR code that a camera can not read, for a very long name', () => {
    const page = appPage({ ...app, uri: `otpauth://totp/${'x'.repeat(10_000)}` });
    expect([tagsOf(page, 'svg'), tagsOf(page, 'li').length]).toEqual([[], 2]);
  });

  test('shows the secret in fours, which is the exact secret when copied', () => {
    const [, code = ''] = /<code class="secret">(.*)<\/code>/.exec(appPage(app)) ?? [];
    expect(code.replace(/<[^>]*>/g, '')).toBe(app.secret);
    expect(code.match(/<span>\w{4}<\/span><wbr>/g)).toHaveLength(8);
  });

  test('sends the first code with the sealed enrolment', () => {
    const page = appPage(app);
    expect(tagsOf(page, 'form')).toEqual(['<form method="post" action="/login/abc/factors">']);
    const [token, action, enrolment, code] = tagsOf(page, 'input');
    expect([token, action]).toEqual([
      hiddenForm,
      '<input type="hidden" name="action" value="app-code">',
    ]);
    expect(enrolment).toBe('<input type="hidden" name="enrolment" value="sealed">');
    expect(code).toMatch(/name="code" required .*inputmode="numeric" autocomplete="one-time-code"/);
    // The focus would scroll the QR code away.
    expect(page).not.toContain('autofocus');
    expect(page).toContain('<a class="button" href="/login/abc/factors">Cancel</a>');
  });

  test.each([
    [undefined, 'The code is wrong.'],
    [5, 'the clock of its device is 5m fast.'],
    [1, 'the clock of its device is 1m fast.'],
    [-60, 'the clock of its device is 60m slow.'],
    [-0, 'the clock of its device is 1m'],
  ])('after a wrong code of a clock that differs by %j minutes, says: %s', (minutes, words) => {
    const page = appPage({ ...app, problem: 'wrong-code', minutes });
    expect(titleOf(page)).toBe('Wrong code - Add an authenticator app');
    expect(wordsOf(page)).toContain(words);
    expect(tagsOf(page, 'input').at(-1)).toMatch(
      / aria-invalid="true" autofocus aria-describedby="problem">$/,
    );
  });
});

test('the page of recovery codes shows all of them, and leads back to the factors', () => {
  const codes = ['abcde-fghij', 'klmno-pqrst'];
  const page = recoveryCodesPage({ path, codes, areRenewed: false });
  for (const code of codes) expect(page).toContain(`<li><code>${code}</code></li>`);
  for (const words of ['works once', 'where you keep passwords', 'They are not shown again.'])
    expect(wordsOf(page)).toContain(words);
  expect(tagsOf(page, 'a')).toEqual(['<a class="button primary" href="/login/abc/factors">']);
  const areReplaced = (areRenewed: boolean) =>
    wordsOf(recoveryCodesPage({ path, codes, areRenewed })).includes('Earlier recovery codes');
  expect([areReplaced(false), areReplaced(true)]).toEqual([false, true]);
});
