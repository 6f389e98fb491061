/** Changes of accounts in the directory: they are disabled and enabled, join a group and leave it. */
import type { UserAct } from './history.ts';
import type { Notes } from './notes.ts';
import { optionalGroupOf } from './people.ts';
import type { Account, World } from './world.ts';

/** An account by its entry in the directory. */
type Entry = Pick<Account, 'dn' | 'name'>;

export interface AccountActs {
  disable(entry: Entry): Promise<void>;
  enable(entry: Entry): Promise<void>;
  /** Adds an account to its optional group, or removes it. */
  setOptionalGroup(account: Account, isMember: boolean): Promise<void>;
}

export function createAccountActs(
  { slapd }: World,
  { begin, end }: Pick<Notes, 'begin' | 'end'>,
): AccountActs {
  const change = async (
    act: Pick<UserAct, 'what' | 'username' | 'groups'>,
    ldif: string,
  ): Promise<void> => {
    const event = begin<UserAct>({ ...act, isSure: false });
    await slapd.modify(ldif);
    end(event);
    event.isSure = true;
  };
  // RFC draft-behera-ldap-password-policy, section 5.3.3: locked until an administrator unlocks it.
  const setLock = (what: 'disable' | 'enable', { dn, name }: Entry, value: string) =>
    change(
      { what, username: `corp:${name}` },
      `dn: ${dn}\nchangetype: modify\nreplace: pwdAccountLockedTime\n${value}`,
    );
  return {
    disable: (entry) => setLock('disable', entry, 'pwdAccountLockedTime: 000001010000Z\n'),
    enable: (entry) => setLock('enable', entry, ''),
    setOptionalGroup(account, isMember) {
      const { name, dn } = account;
      const group = optionalGroupOf(account);
      return change(
        {
          what: 'groups',
          username: `corp:${name}`,
          groups: [`corp:k8s-${name}`, ...(isMember ? [`corp:${group}`] : [])],
        },
        `dn: cn=${group},ou=groups,${slapd.suffix}\nchangetype: modify\nreplace: member\nmember: ${slapd.service.dn}\n${
          isMember ? `member: ${dn}\n` : ''
        }`,
      );
    },
  };
}
