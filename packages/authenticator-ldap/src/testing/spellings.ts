import type { Decision } from '@sallyport/authenticator';
import { expect } from 'vitest';
import type { PluginGateway } from './plugin-gateway.ts';

const wide = (text: string) =>
  text.replace(/[!-~]/g, (letter) => String.fromCharCode(letter.charCodeAt(0) + 0xfee0));

/** Spellings of a name, which directories may take for it. */
function spellingsOf(name: string): readonly string[] {
  const capital = name.charAt(0).toUpperCase() + name.slice(1);
  return [
    ...[name, name.toUpperCase(), capital, ` ${name}`, `${name} `, `  ${name}  `, `\u00a0${name}`],
    ...[name.normalize('NFC'), name.normalize('NFD'), wide(name), name.replace('k', '\u212a')],
    ...[name.replace('s', '\u017f'), name.replace('-', '\u2010'), name.replace('-', '\u00ad-')],
    ...[`${name}\u200b`, `${name}@example.com`, `${capital}@EXAMPLE.COM`, `EXAMPLE\\${name}`],
    ...[`example.com\\${name}`, `${name}$`, `uid=${name}`, `${name}*`, `${name}\\20`, `"${name}"`],
  ];
}

/**
 * Logs a user in by spellings of their name, each with a wrong password and with the right one. All must be the same user for
 * the lockout guard and for Kubernetes, so that no spelling has attempts, sessions, blocks or second factors of its own.
 *
 * @param more names of this user in this directory
 * @returns the spellings that the directory took for the user
 */
export async function expectOneUser(
  made: PluginGateway,
  user: { readonly name: string; readonly dn: string; readonly password: string },
  more: readonly string[] = [],
): Promise<readonly string[]> {
  const own = await made.logIn(user.name, user.password);
  expect(own).toMatchObject({ kind: 'authenticated', user: { username: user.name } });
  const accepted: string[] = [];
  for (const spelling of [...spellingsOf(user.name), ...more]) {
    const from = made.attempts.length;
    const [wrong, right] = [
      await made.logIn(spelling, `${user.password}x`),
      await made.logIn(spelling, user.password),
    ];
    const attempts = made.attempts.slice(from);
    const isUser = right.kind === 'authenticated';
    const refused: Decision = {
      kind: 'rejected',
      reason: 'invalid-credentials',
      subject: user.name,
    };
    const expected = isUser ? [refused, own, ['refused', 'accepted']] : [right, right, []];
    expect([spelling, wrong, right, attempts.map(({ outcome }) => outcome)]).toEqual([
      spelling,
      ...expected,
    ]);
    const subjects = new Set(attempts.map(({ subject }) => subject.toLowerCase()));
    expect([spelling, [...subjects]]).toEqual([spelling, isUser ? [user.dn.toLowerCase()] : []]);
    if (isUser) accepted.push(spelling);
  }
  return accepted;
}

/** Passwords that are no password, or that a directory might cut or trim to the right one. */
export async function expectNoOtherPassword(
  made: PluginGateway,
  { name, password }: { readonly name: string; readonly password: string },
): Promise<void> {
  for (const wrong of [
    ...[
      '',
      ' ',
      '\0',
      '\0\0',
      '   ',
      '\t',
      '\n',
      `${password}\0`,
      `${password}\0x`,
      `\0${password}`,
    ],
    ...[`${password} `, ` ${password}`, `${password}\n`, password.toUpperCase(), wide(password)],
    ...[`${password}\ufffd`, `${password}\u200b`],
  ])
    expect([wrong, (await made.logIn(name, wrong)).kind]).not.toEqual([wrong, 'authenticated']);
}
