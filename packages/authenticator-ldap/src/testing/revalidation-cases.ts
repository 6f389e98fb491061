import { randomUUID } from 'node:crypto';
import type { Decision, LoggedIn, RejectionReason, UserInfo } from '@sallyport/authenticator';
import type { LdapServer } from '@sallyport/test-servers/ldap-tools';
import { type LdifEntry, toLdif, toReplacements } from '@sallyport/test-servers/ldif';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { expect } from 'vitest';
import plugin from '../index.ts';
import { type PluginGateway, pluginGateway } from './plugin-gateway.ts';

/** A directory with a person in it, for cases that all directories must pass. */
export interface RevalidationTarget {
  readonly server: LdapServer;
  readonly password: string;
  /**
   * Options as gateway.yaml has them. Their filter finds users below `people`, but none with the
   * description `barred`.
   */
  readonly options: Record<string, unknown>;
  readonly people: string;
  readonly groups: string;
  /** The attribute of the name at a login. */
  readonly nameAttribute: string;
  /** The class of a group with `member`. */
  readonly groupClass: string;
  person(name: string, dn: string): LdifEntry;
  /** Returns the attribute for a new password, with its value. */
  newPassword(): LdifEntry['attributes'];
  /** The attributes with which three wrong passwords lock an account. */
  readonly lockable: LdifEntry['attributes'];
  /** What an administrator changes to unlock an account. */
  readonly unlocked: LdifEntry['attributes'];
  /** The attributes that end a session, each with its reason. */
  readonly refusals: Readonly<Record<string, readonly [RejectionReason, LdifEntry['attributes']]>>;
}

/** The description that `options.user.filter` must refuse. */
export const barred = 'barred';

/** The name of a refusal that is only for users with a password. */
export const needsSmartCard = 'account that needs a smart card';

const unknownUser: Decision = { kind: 'rejected', reason: 'unknown-user' };

interface Scene {
  readonly target: RevalidationTarget;
  readonly made: PluginGateway;
  readonly name: string;
  readonly dn: string;
  /** The user as the login answered. */
  readonly user: UserInfo;
  readonly since: Date;
  modify(...changes: readonly string[]): Promise<void>;
}

export type RevalidationCase = (target: RevalidationTarget) => Promise<void>;

/** Makes a case that logs a new person in, and then plays the scene. */
function scene(play: (scene: Scene) => Promise<void>): RevalidationCase {
  return async (target) => {
    const { server, people, password } = target;
    const name = `u-${randomUUID().slice(0, 13)}`;
    const dn = `CN=${name},${people}`;
    await server.add(toLdif([target.person(name, dn)]));
    await using made = await pluginGateway(plugin, target.options);
    const decision = await made.logIn(name, password);
    if (decision.kind !== 'authenticated')
      throw new Error(`the login was answered ${JSON.stringify(decision)}`);
    const since = new Date();
    const modify: Scene['modify'] = async (...changes) => await server.modify(changes.join('\n\n'));
    const { user } = decision;
    expect(user.uid).toEqual(expect.any(String));
    expect(await made.revalidate(user, since)).toEqual(decision);
    await play({ target, made, name, dn, user, since, modify });
  };
}

const deleted = (dn: string) => `dn: ${dn}\nchangetype: delete`;
const moved = (dn: string, rdn: string, parent: string) =>
  `dn: ${dn}\nchangetype: modrdn\nnewrdn: ${rdn}\ndeleteoldrdn: 1\nnewsuperior: ${parent}`;
const replaced = (dn: string, attributes: LdifEntry['attributes']) =>
  toReplacements([{ dn, attributes }]);

const unit = (dn: string): LdifEntry => ({ dn, attributes: { objectClass: 'organizationalUnit' } });

/**
 * Waits until a change counts as one after `moment`: directories record a change of a password in
 * whole seconds, by a clock that is a few milliseconds behind (389-DS uses time(2), which Linux
 * advances by ticks).
 */
async function secondAfter(moment: Date): Promise<void> {
  const next = (Math.floor(moment.getTime() / 1_000) + 1) * 1_000;
  await waitFor(() => Date.now() > next + 100, 'the next second');
}

/** Creates the plugin with a filter for users of other authenticators. */
function joining(target: RevalidationTarget, lookUpFilter: string): Promise<PluginGateway> {
  const user = { ...(target.options.user as object), lookUpFilter };
  return pluginGateway(plugin, { ...target.options, user });
}

/** Returns names that directories may take for this one. */
function similarTo(name: string): readonly string[] {
  const wide = (letter: string) => String.fromCharCode(letter.charCodeAt(0) + 0xfee0);
  return [
    name.replace(/[!-~]/g, wide),
    name.replace(/[aeiou]/, '$&\u0301'),
    name.replace(/[aeiou]/, '$&\u0301').normalize('NFC'),
    name.replace('k', '\u212a'),
    name.replace(' ', '  '),
    name.replace('-', '\u00ad-'),
    name.replace('-', '\u200b-'),
    ` ${name}`,
    `${name} `,
  ].filter((one) => one !== name);
}

export const revalidationCases: Readonly<Record<string, RevalidationCase>> = {
  'a user stays, with the groups of today': scene(
    async ({ target, made, name, dn, user, since }) => {
      const group = `g-${name}`;
      const attributes = { objectClass: target.groupClass, member: dn };
      await target.server.add(toLdif([{ dn: `CN=${group},${target.groups}`, attributes }]));
      const now = { ...user, groups: [...(user.groups ?? []), group].sort() };
      expect(await made.revalidate(user, since)).toEqual({ kind: 'authenticated', user: now });
      expect(await made.lookUp(name)).toEqual(now);
      const steps: string[] = [];
      await made.lookUp(name, (step) => steps.push(step));
      expect(steps.at(-1)).toMatch(/^account state: nothing against the user in \w/);
    },
  ),

  'a user who was deleted is unknown, and one of the same name is another': scene(
    async ({ target, made, name, dn, user, since, modify }) => {
      await modify(deleted(dn));
      expect(await made.revalidate(user, since)).toEqual(unknownUser);
      expect(await made.lookUp(name)).toBeUndefined();
      await secondAfter(since);
      await target.server.add(toLdif([target.person(name, dn)]));
      expect(await made.revalidate(user, since)).toEqual(unknownUser);
      // Where logins have no uid, the time shows that it is another account.
      expect(await made.revalidate({ username: name }, since)).toMatchObject({
        kind: 'rejected',
        reason: expect.stringMatching(/^(?:unknown-user|password-changed)$/),
      });
      const found = await made.revalidate({ username: name });
      expect(found).toMatchObject({ kind: 'authenticated', user: { username: name } });
      expect((found as { user: UserInfo }).user.uid).not.toBe(user.uid);
    },
  ),

  'a user with another uid is unknown': scene(async ({ made, user, since }) => {
    for (const uid of [randomUUID(), 'x', '*', '']) {
      expect(await made.revalidate({ ...user, uid }, since)).toEqual(unknownUser);
    }
    expect(await made.revalidate({ ...user, username: `${user.username}x` }, since)).toEqual(
      unknownUser,
    );
    expect(await made.revalidate({ ...user, username: '*' }, since)).toEqual(unknownUser);
  }),

  'a user who was renamed is unknown until they log in again': scene(
    async ({ target, made, dn, name, user, since, modify }) => {
      await modify(replaced(dn, { [target.nameAttribute]: `new-${name}` }));
      expect(await made.revalidate(user, since)).toEqual(unknownUser);
      const login = (await made.logIn(`new-${name}`, target.password)) as { user: LoggedIn };
      expect(login.user.uid).toBe(user.uid);
      expect(await made.revalidate(login.user)).toMatchObject({ kind: 'authenticated' });
    },
  ),

  'a user who was moved stays below the base, and is unknown elsewhere': scene(
    async ({ target, made, dn, name, user, since, modify }) => {
      const [inside, outside] = [
        `OU=in-${name},${target.people}`,
        `OU=out-${name},${target.server.suffix}`,
      ];
      await target.server.add(toLdif([unit(inside), unit(outside)]));
      await modify(moved(dn, `CN=${name}`, inside));
      expect(await made.revalidate(user, since)).toMatchObject({
        kind: 'authenticated',
        user: { uid: user.uid },
      });
      await modify(moved(`CN=${name},${inside}`, `CN=${name}`, outside));
      expect(await made.revalidate(user, since)).toEqual(unknownUser);
    },
  ),

  'a user whom the filter no longer finds is unknown': scene(
    async ({ made, dn, user, since, modify }) => {
      await modify(replaced(dn, { description: barred }));
      expect(await made.revalidate(user, since)).toEqual(unknownUser);
    },
  ),

  'a password that was changed later ends the session, and one that was changed before does not':
    scene(async ({ target, made, dn, user, since, modify }) => {
      await secondAfter(since);
      await modify(replaced(dn, target.newPassword()));
      const rejected = { kind: 'rejected', reason: 'password-changed', subject: user.username };
      expect(await made.revalidate(user, since)).toEqual(rejected);
      expect(await made.revalidate(user, new Date())).toMatchObject({ kind: 'authenticated' });
    }),

  'a locked account has no session, and its right password is no wrong one: it gets in once the account is unlocked':
    scene(async ({ target, made, dn, name, user, since, modify }) => {
      if (Object.keys(target.lockable).length > 0) await modify(replaced(dn, target.lockable));
      for (let attempt = 0; attempt < 3; attempt += 1) {
        expect(await made.revalidate(user, since)).toMatchObject({ kind: 'authenticated' });
        await made.logIn(name, randomUUID());
      }
      const rejected = { kind: 'rejected', reason: 'locked', subject: user.username };
      expect(await made.revalidate(user, since)).toEqual(rejected);
      expect(await made.logIn(name, target.password)).toEqual(rejected);
      expect(made.attempts.at(-1)).toMatchObject({ admitted: true, outcome: 'unavailable' });
      await modify(replaced(dn, target.unlocked));
      expect(await made.logIn(name, target.password)).toMatchObject({ kind: 'authenticated' });
      expect(await made.revalidate(user, since)).toMatchObject({ kind: 'authenticated' });
    }),

  'each state of an account that ends a session is seen': scene(
    async ({ target, made, user, since, modify }) => {
      const before = await made.revalidate(user, since);
      for (const [what, [reason, attributes]] of Object.entries(target.refusals)) {
        const { name, person } = { name: `r-${randomUUID().slice(0, 13)}`, person: target.person };
        const other = `CN=${name},${target.people}`;
        await target.server.add(toLdif([person(name, other)]));
        await modify(replaced(other, attributes));
        const steps: string[] = [];
        const decision = await made.revalidate({ username: name }, new Date(), (step) =>
          steps.push(step),
        );
        expect([what, decision]).toEqual([what, { kind: 'rejected', reason, subject: name }]);
        const joined = await made.join(name);
        expect([what, joined]).toEqual([
          what,
          reason === 'password-changed' || what === needsSmartCard
            ? expect.objectContaining({ kind: 'authenticated' })
            : decision,
        ]);
        expect(steps).toContainEqual(
          expect.stringMatching(new RegExp(`^account state: ${reason}, by the attribute \\w`)),
        );
      }
      expect(await made.revalidate(user, since)).toEqual(before);
    },
  ),

  'a user of another authenticator is found by a further attribute, and has the groups of today':
    scene(async ({ target, name, dn, user, modify }) => {
      const [group, address] = [`g-${name}`, `mail-${name}@example.com`];
      const attributes = { objectClass: target.groupClass, member: dn };
      await target.server.add(toLdif([{ dn: `CN=${group},${target.groups}`, attributes }]));
      await using made = await joining(target, '(mail={username})');
      expect(await made.join(address)).toBeUndefined();
      await modify(replaced(dn, { mail: address }));
      const now = { ...user, groups: [...(user.groups ?? []), group].sort() };
      const decision = { kind: 'authenticated', user: now };
      const steps: string[] = [];
      expect(await made.join(address.toUpperCase(), (step) => steps.push(step))).toEqual(decision);
      expect(steps[0]).toMatch(/^user search \(user\.lookUpFilter\) below .*: 1 entry$/);
      // A login finds the user by this name, and an operator does: another authenticator's user is not meant.
      expect(await made.join(name)).toBeUndefined();
      // No password was checked, so none that is new counts.
      await modify(replaced(dn, target.newPassword()));
      expect(await made.join(address)).toEqual(decision);
      await modify(replaced(dn, { description: barred }));
      expect(await made.join(address)).toEqual(unknownUser);
    }),

  'a user of another authenticator is found as at a login, unless two are': scene(
    async ({ target, made, name, dn, user }) => {
      expect(await made.join(name.toUpperCase())).toEqual({ kind: 'authenticated', user });
      const twin = `twin-${name}`;
      await target.server.add(toLdif([target.person(twin, `CN=${twin},${target.people}`)]));
      await using joined = await joining(target, '(description={username})');
      await target.server.modify(
        [dn, `CN=${twin},${target.people}`]
          .map((one) => replaced(one, { description: `both ${name}` }))
          .join('\n\n'),
      );
      await expect(joined.join(`both ${name}`)).rejects.toMatchObject({
        code: 'failed',
        message: expect.stringContaining('user.lookUpFilter matches several entries'),
      });
    },
  ),

  'no name that is only similar finds a user of another authenticator': scene(
    async ({ target, made, name, dn, modify }) => {
      const text = `al ice k-${name}`;
      await modify(replaced(dn, { description: text }));
      await using joined = await joining(target, '(description={username})');
      expect(await joined.join(text)).toMatchObject({ kind: 'authenticated' });
      const outcomes: Record<string, unknown> = {};
      const outcomeOf = (gateway: PluginGateway, similar: string) =>
        gateway.join(similar).catch((error: unknown) => error);
      for (const similar of similarTo(text)) outcomes[similar] = await outcomeOf(joined, similar);
      for (const similar of similarTo(name)) outcomes[similar] = await outcomeOf(made, similar);
      const loose = Object.entries(outcomes).filter(([, outcome]) => outcome !== undefined);
      for (const [similar, outcome] of loose)
        expect([similar, outcome]).toEqual([
          similar,
          expect.objectContaining({
            code: 'failed',
            message: expect.stringContaining('has another value'),
          }),
        ]);
      // Each directory compares loosely: else the case shows nothing.
      expect(loose.length).toBeGreaterThan(0);
    },
  ),

  'a directory that is down is an outage, and no answer': scene(
    async ({ target, made, user, since }) => {
      await target.server.stop();
      try {
        await expect(made.revalidate(user, since)).rejects.toMatchObject({ code: 'unavailable' });
        await expect(made.lookUp(user.username)).rejects.toMatchObject({ code: 'unavailable' });
      } finally {
        await target.server.start();
      }
    },
  ),
};
