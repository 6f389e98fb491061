/** Events of one user, for tests of the oracle. */
import type {
  Attempt,
  Ended,
  Event,
  Fault,
  Identity,
  Made,
  ObservedAnswer,
  Secret,
  Use,
  UserAct,
} from '../history.ts';

/** When most of these events happen. */
export const t = 100_000;

export const jane: Identity = { username: 'corp:jane', groups: ['corp:k8s-ops'], uid: 'id-1' };
export const password: Secret = { number: 1, kind: 'password', user: jane };
export const session: Secret = { number: 2, kind: 'session', user: jane };
export const robot: Secret = {
  number: 3,
  kind: 'robot token',
  user: { username: 'robot:ci', groups: [], uid: undefined },
};
export const member: Secret = {
  number: 4,
  kind: 'static token',
  user: { username: 'ann', groups: [], uid: undefined },
};
export const wrong: readonly Secret[] = [5, 6, 7].map((number) => ({
  number,
  kind: 'password',
  user: jane,
}));

/** All that follows begins a minute and more after this. */
export const made = (secret: Secret, begin = 0): Event => ({
  what: 'made',
  secret,
  begin,
  end: begin + 10,
});
export const shown = (
  secret: Secret,
  begin: number,
  answer: ObservedAnswer | undefined,
  more: Partial<Attempt> = {},
): Attempt => ({
  ...{ what: 'review', replica: 0, secret, begin, end: begin + 5, ...(answer && { answer }) },
  ...more,
});
export const ended = (
  what: Ended['what'],
  secret: Secret,
  begin: number,
  isSure = true,
): Ended => ({
  what,
  secret,
  begin,
  end: begin + 10,
  isSure,
});
export const act = (what: UserAct['what'], begin: number, isSure = true): UserAct => ({
  what,
  username: jane.username,
  begin,
  end: begin + 100,
  isSure,
});
export const fault = (
  hits: Fault['hits'],
  begin: number,
  end: number,
  more: Partial<Fault> = {},
): Fault => ({
  what: 'fault',
  kind: 'it',
  hits,
  begin,
  end,
  ...more,
});

/** A review of a secret of jane, of hers or as its user. */
export const accepted = (secret: Secret, begin: number, more?: Partial<Attempt>): Attempt =>
  shown(secret, begin, secret.user ?? jane, more);
export const refused = (secret: Secret, begin: number, more?: Partial<Attempt>): Attempt =>
  shown(secret, begin, 'refused', more);

export const app: Secret = { number: 10, kind: 'app', user: jane };
export const recoveryCode: Secret = { number: 11, kind: 'code', user: jane };
export const pageCode: Secret = { number: 12, kind: 'page code', user: jane };
const appCodes = [7, 8, 9].map(
  (step): Secret => ({ number: 100 + step, kind: 'code', user: jane }),
);

/** The code of one of the steps 7 to 9. */
export const appCode = (step: number): Secret => appCodes[step - 7] as Secret;

/** A session that a login made. */
export const loggedIn = (
  secret: Secret,
  { begin, end, ...login }: Pick<Made, 'begin' | 'end'> & NonNullable<Made['login']>,
): Made => ({ what: 'made', secret, begin, end, login });

/** The use of a code, by default an accepted one. */
export function used(secret: Secret, begin: number, more: Partial<Use> = {}): Use {
  const at = appCodes.indexOf(secret);
  return {
    ...{ what: 'use', replica: 0, secret, begin, end: begin + 5, answer: 'accepted' },
    ...(at >= 0 && { step: { app, number: at + 7 } }),
    ...more,
  };
}
