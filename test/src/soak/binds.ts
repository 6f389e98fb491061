/** Notes what the network in front of the directory sees: wrong passwords, and the time of each bind. */
import type { Bind } from './history.ts';
import type { Notes } from './notes.ts';
import type { World } from './world.ts';

export interface Binds {
  /** Returns when the first bind of this user since a time was sent to the directory. It is undefined without one. */
  firstSince(name: string, since: number): number | undefined;
  /** Waits for the next bind of this user. */
  next(name: string): Promise<void>;
}

/** The number of binds of one user whose times are remembered. */
const maxRemembered = 50;

export function watchBinds(
  { directory, people, phoneOwners, findPassword }: World,
  { begin, end }: Pick<Notes, 'begin' | 'end'>,
): Binds {
  const users = new Map(
    [...people, ...phoneOwners].map((person) => [person.dn.toLowerCase(), person]),
  );
  const times = new Map<string, number[]>();
  const waiting = new Map<string, () => void>();
  const events = new WeakMap<object, Bind>();
  directory.onBind = (bind) => {
    const person = users.get(bind.dn.toLowerCase());
    if (person === undefined) return;
    const { name, identity, credential, old } = person;
    times.set(name, [...(times.get(name) ?? []), bind.sentAt].slice(-maxRemembered));
    waiting.get(name)?.();
    const secret = findPassword(name, bind.password);
    if (secret !== undefined && (secret === credential || old.includes(secret))) return;
    const event = begin<Bind>({
      what: 'bind',
      username: identity.username,
      secret,
      isAnswered: false,
    });
    events.set(bind, event);
  };
  directory.onBindEnd = (bind) => {
    const event = events.get(bind);
    if (event === undefined) return;
    event.isAnswered = bind.code !== undefined;
    end(event);
  };
  return {
    firstSince: (name, since) => times.get(name)?.find((time) => time >= since),
    next: (name) =>
      new Promise((resolve) => {
        waiting.set(name, resolve);
      }),
  };
}
