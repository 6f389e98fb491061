import { appCode } from '@sallyport/test/authenticator-app';
import { codeBlocksOf } from '@sallyport/test/documents';
import { createJwtIssuer } from '@sallyport/test-servers/jwt-issuer';
import { findLeaks } from '@sallyport/test-servers/leaks';
import { ldapToken } from '@sallyport/test-servers/people';
import { newToken } from '@sallyport/test-servers/redis-tokens';
import { randomToken, secret, secretsInUse, sha256 } from '@sallyport/test-servers/tokens';
import { beforeAll, describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { pages, readPage } from './testing/pages.ts';
import { fixedText, withTranscripts } from './testing/transcript.ts';
import {
  type Replacement,
  type ServedPlace,
  startTranscriptPlace,
  type TranscriptPlace,
} from './testing/transcript-place.ts';
import { expectWritten } from './testing/written.ts';

/** What the pages show, by its name: a command after `$ `, and what it prints. */
const names = [
  ...['init', 'check', 'check-errors', 'audit-line', 'login', 'explain', 'lockouts'],
  ...['explain-user', 'block', 'blocks', 'explain-job', 'explain-job-refused'],
  ...['factor-invite', 'factor-add', 'factor-login', 'factor-list', 'factor-reset'],
] as const;
type Name = (typeof names)[number];

/** Runs the commands, one after the other, as the pages tell it: first an install, then logins, then a lost laptop. */
async function record(): Promise<ReadonlyMap<string, string>> {
  const shown = new Map<string, string>();
  /** What the pages show in place of secrets that are printed once. */
  const samples: Replacement[] = [];
  const start = Date.now();
  await using place = await startTranscriptPlace();
  const blocked = newToken();
  const show = (name: Name, command: string, printed: string) => {
    expect(findLeaks(printed, secretsInUse())).toEqual([]);
    // `init` shows its token once: no other output may have it, and no page.
    for (const [, token = ''] of printed.matchAll(/"token":"([^"]+)"/g)) secret(token);
    const text = fixedText(printed, start, [
      ...place.replacements,
      ...samples,
      [/(?<="token":")[\w-]{43}/g, 'the-token-for-the-first-review-is-shown-once'],
      [sha256(blocked).slice(0, 12), '3f2a91c0aa17'],
      [/Username \[.*\]/g, `Username [${name.startsWith('factor') ? 'alice' : 'jane'}]`],
      [/(?<=from |laptop, )127\.0\.0\.1/g, '192.0.2.7'],
    ]);
    expect(findLeaks(text, secretsInUse())).toEqual([]);
    shown.set(name, `$ ${command}\n${text}`);
  };
  const run = async (name: Name, command: string) => show(name, command, await place.run(command));
  const help = async (name: Name, words: string) => {
    const line = `sudo -u sallyport sallyport-helpdesk ${words}`;
    show(name, line, await place.help(line));
  };

  await run('init', 'sallyport init /etc/sallyport --host 127.0.0.1');
  // Another process of this machine may use the ports that a config of `init` has.
  await place.edit('127.0.0.1:8443', '127.0.0.1:0');
  await place.edit('127.0.0.1:8081', '127.0.0.1:0');
  await run('check', 'sallyport check');

  const served = await place.serve();
  const { jane, ask, audited } = served;
  const wrong = (name: string) => ldapToken(name, randomToken());
  expect(await ask(jane.token)).toBe(true);
  await audited(1);
  await run('audit-line', 'head -n 1 /var/log/sallyport/audit.log');
  const typed = [
    ['Username', 'jane'],
    ['Password of', jane.password],
  ] as const;
  const login = 'kubectl sallyport login';
  show('login', login, await place.type(login, typed));
  const explain = 'sallyport explain';
  show('explain', explain, await place.type(explain, [['Token: ', wrong('bob')]]));
  const refused = [await ask(wrong('bob'))];
  for (let attempt = 1; attempt <= 4; attempt++) refused.push(await ask(wrong('jane')));
  expect(refused).not.toContain(true);
  await audited(1 + 1 + refused.length);
  await help('lockouts', 'lockouts');
  await help('explain-user', 'explain jane');

  await run('block', 'sallyport block --user corp:jane --for 8h --reason "laptop stolen"');
  await place.run('sallyport block --token --for 30d --reason "in a build log"', blocked);
  await run('blocks', 'sallyport blocks');

  await place.edit('shutdownDelay: 0s', 'reviewTimout: 8s');
  await place.edit('secrets/ldap-password', 'secrets/ldap-pasword');
  await run('check-errors', 'sallyport check');
  await recordFactors({ place, served, show, samples });
  for (const [name, text] of await recordJobs(start)) shown.set(name, text);
  return shown;
}

/** Asks about tokens of a job, with the config that the page has for GitHub Actions. */
async function recordJobs(start: number): Promise<readonly (readonly [Name, string])[]> {
  await using place = await startTranscriptPlace();
  const issuer = createJwtIssuer();
  const blocks = codeBlocksOf(await readPage('docs/workload-tokens.md'));
  const config = parse(blocks.find(({ text }) => text.startsWith('# gateway.yaml'))?.text ?? '');
  // The keys are in a file, since GitHub can't be reached.
  const [file = '', keys = ''] = Object.entries(issuer.files)[0] ?? [];
  config.authenticators[0].options.issuers[0].issuer.jwksFile = file;
  const write = (path: string, text: string) => place.run(`cat > ${path}`, text);
  await place.run('mkdir /etc/sallyport');
  await write('/etc/sallyport/gateway.yaml', stringify(config));
  await write(`/etc/sallyport/${file}`, keys);
  const claims = {
    iss: 'https://token.actions.githubusercontent.com',
    aud: 'sallyport',
    sub: 'repo:acme@123456/shop@456789:ref:refs/heads/main',
    repository: 'acme/shop',
    repository_owner_id: '123456',
    jti: '1f9d4683-62e5-485f-b544-5cc219315268',
  };
  const explain = async (name: Name, ref_protected: string) => {
    await write('token', issuer.token({ ...claims, ref_protected }));
    const printed = await place.run('sallyport explain < token');
    expect(findLeaks(printed, secretsInUse())).toEqual([]);
    const text = fixedText(printed, start, place.replacements);
    return [name, `$ sallyport explain < token\n${text}`] as const;
  };
  return [await explain('explain-job', 'true'), await explain('explain-job-refused', 'false')];
}

interface FactorRecording {
  readonly place: TranscriptPlace;
  readonly served: ServedPlace;
  readonly show: (name: Name, command: string, printed: string) => void;
  /** What the pages show in place of secrets that are printed once. */
  readonly samples: Replacement[];
}

/** Runs the commands of a second factor, from the invitation to the reset. */
async function recordFactors({ place, served, show, samples }: FactorRecording): Promise<void> {
  await served.allowSecondFactor();
  const invite = 'sallyport factor invite --user corp:alice --reason "first phone"';
  const invited = await place.run(invite);
  const [, invitation = ''] = /factors\/(\w+)/.exec(invited) ?? [];
  samples.push([invitation, 'ktq5m2rwhx7cv3da']);
  show('factor-invite', invite, invited);
  // It is shown once, as are the secret and the recovery codes: no other output may have them.
  secret(invitation);
  const asAlice = [
    ['Username', 'alice'],
    ['Password of', served.alice.password],
  ] as const;
  const add = 'kubectl sallyport factor add --label phone';
  const added = await place.type(add, [
    ...asAlice,
    ['Invitation', invitation],
    ['Code that', (text) => appCode(appSecretIn(text))],
  ]);
  const app = appSecretIn(added);
  samples.push(
    [app, 'JBSW Y3DP EHPK 3PXP JBSW Y3DP EHPK 3PXP'],
    // Three lines show the form of all ten.
    [/(?:^ {2}[a-z2-7]{5}-[a-z2-7]{5}\n){10}/gm, '  m4x2k-7qtwd\n  …\n  w5hjc-p3n6z\n'],
    [/(?<=: )\d{6}$/gm, '123456'],
    [/ADDED +LAST USE/g, 'ADDED    LAST USE'],
    [/\b\d+s ago +\d+s ago/g, '9m ago   2m ago'],
    [/\b[0-9a-f]{12}(?= {2}corp:alice {2}\(issued )/g, '3f2a91c0aa17'],
    [/(?<=issued )\d+s(?= ago)/g, '2m'],
  );
  show('factor-add', add, added);
  for (const one of [app, app.replaceAll(' ', ''), ...recoveryCodesIn(added)]) secret(one);
  const login = 'kubectl sallyport login';
  // No code works twice. The next one is valid already.
  const next = await appCode(app, 30);
  show('factor-login', login, await place.type(login, [...asAlice, ['Code (', next]]));
  const list = 'sallyport factor list';
  show('factor-list', list, await place.run(list));
  const reset = 'sallyport factor reset --user corp:alice --reason "phone stolen"';
  show('factor-reset', reset, await place.run(reset));
}

/** Returns the secret that `factor add` shows. */
const appSecretIn = (text: string): string => /Secret: ([A-Z2-7 ]+)$/m.exec(text)?.[1] ?? '';

const recoveryCodesIn = (text: string): readonly string[] =>
  text.match(/(?<=^ {2})[a-z2-7]{5}-[a-z2-7]{5}$/gm) ?? [];

let shown: ReadonlyMap<string, string>;
beforeAll(async () => {
  shown = await record();
});

describe('what the pages show is what the commands print; to write it: WRITE=1', () => {
  test.each(pages)('%s', async (page) => {
    const before = await readPage(page);
    const after = withTranscripts(before, (name) => {
      const text = shown.get(name);
      if (text === undefined) throw new Error(`no command is known by the name ${name}`);
      return text;
    });
    await expectWritten(page, before, after);
  });

  test('and each of them is in a page', async () => {
    const texts = (await Promise.all(pages.map(readPage))).join('\n');
    expect(names.filter((name) => !texts.includes(`<!-- output: ${name} -->`))).toEqual([]);
  });

  test('and no page shows a command that was not run', async () => {
    for (const page of pages) {
      const blocks = codeBlocksOf(withTranscripts(await readPage(page), () => ''));
      const byHand = blocks.filter(
        ({ language, text }) => language === 'console' && text.startsWith('$ '),
      );
      expect([page, byHand]).toEqual([page, []]);
    }
  });
});

test.each(['00:00:00', '12:00:00', '23:59:57'])(
  'a transcript that begins at %s has the same times as any other',
  (time) => {
    const start = Date.parse(`2026-11-29T${time}.000Z`);
    const after = (milliseconds: number) => new Date(start + milliseconds).toISOString();
    // The test needs 20 s, and a certificate is valid for a year.
    for (const passed of [0, 5000, 20_000]) {
      const expires = after(passed + 365 * 86_400_000);
      const printed = `${after(passed)} ${after(passed).slice(0, 16).replace('T', ' ')} ${expires.slice(0, 10)} ${expires}`;
      expect([passed, fixedText(printed, start, [])]).toEqual([
        passed,
        '2030-01-31T12:00:00.000Z 2030-01-31 12:00 2031-01-31 2031-01-31T12:00:00.000Z',
      ]);
    }
  },
);
