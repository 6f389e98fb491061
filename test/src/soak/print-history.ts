/** Prints what happened before and after a wrong answer. */
import { type Event, isAttempt, type Secret, type Violation } from './history.ts';

/** Lists the events around a violation, one on each line. Secrets have numbers. */
export function historyOf({ of }: Violation, history: readonly Event[]): string[] {
  const [from, to] = [of.begin - 30_000, of.end + 2_000];
  const usernames =
    'username' in of ? [of.username] : [of.secret.user?.username, of.secret.account];
  const isNear = (event: Event) => event.begin >= from && event.begin <= to;
  const isAbout = (event: Event): boolean => {
    if (event.what === 'fault') return event.end >= from && event.begin <= to;
    if (event.what === 'bind') return usernames.includes(event.username) && isNear(event);
    if ('username' in event) return usernames.includes(event.username);
    const isOfUser = usernames.includes(event.secret.user?.username);
    if (event.what === 'use' || event.secret.kind === 'app') return isOfUser && isNear(event);
    if ('secret' in of && event.secret === of.secret) return !isAttempt(event) || isNear(event);
    // Other passwords lock a user out, and a new one ends sessions.
    const isOther = event.secret.kind === 'password' && isOfUser;
    const isOfPassword = !('secret' in of) || of.secret?.kind === 'password';
    return isOther && isNear(event) && (isOfPassword || !isAttempt(event));
  };
  const seconds = (time: number) =>
    Number.isFinite(time) ? ((time - of.begin) / 1_000).toFixed(3) : 'now';
  return history
    .filter(isAbout)
    .map(
      (event) =>
        `${event === of ? '>' : ' '} ${seconds(event.begin)} to ${seconds(event.end)} s: ${describe(event)}`,
    );
}

const secretName = ({ kind, number, user }: Secret): string =>
  `${kind} ${number}${user ? ` of ${user.username}` : ''}`;

function describe(event: Event): string {
  if (event.what === 'fault')
    return event.kind + (event.replica === undefined ? '' : `, replica ${event.replica}`);
  if (event.what === 'bind') {
    const password = event.secret ? secretName(event.secret) : `a password of ${event.username}`;
    return `the directory got ${password}${event.isAnswered ? '' : ', answer lost'}`;
  }
  if ('username' in event) {
    const groups = event.groups ? ` ${event.groups.join(' ')}` : '';
    return `${event.what} ${event.username}${groups}${event.isSure ? '' : ', not confirmed'}`;
  }
  if (event.what === 'made') {
    const proved = event.login
      ? `, first proof by ${Math.round(event.login.provedBy - event.begin)} ms`
      : '';
    return `made ${secretName(event.secret)}${proved}`;
  }
  if (event.what === 'use') {
    const step = event.step ? `, step ${event.step.number}` : '';
    return `use at replica ${event.replica}, ${secretName(event.secret)}${step}: ${event.answer}`;
  }
  if (!isAttempt(event))
    return `${event.what}, ${secretName(event.secret)}${event.isSure ? '' : ', not confirmed'}`;
  const answer = typeof event.answer === 'object' ? 'accepted' : event.answer;
  return `${event.what} at replica ${event.replica}, ${secretName(event.secret)}: ${answer}${event.isForeign ? ', another cluster' : ''}`;
}
