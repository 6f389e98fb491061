/*
 * The rules of the lockout guard. They hold for one process, for replicas that share a Redis, and for gateways in front of a
 * directory. A driver asks for logins; the model knows which of them may be sent, refused or kept waiting.
 */

export type LockoutOutcome = 'accepted' | 'refused' | 'unavailable' | 'unanswered';

/** The decision of the guard. `denied` has no reason, as clients see it. */
export type ModelAdmission = 'sent' | 'invalid-credentials' | 'throttled' | 'denied' | 'failed';

export interface Login {
  readonly replica: number;
  readonly name: string;
  readonly secret: string;
}

/** A login that has asked the guard. */
export interface AskedLogin {
  /** Left out while it waits. */
  readonly admission?: ModelAdmission | undefined;
  /** The outcome of a login that was sent, if the driver does not choose it. */
  readonly outcome?: LockoutOutcome;
  /** The guard kept it waiting for as long as it may. Only for a driver that does not let time pass. */
  readonly hasWaited?: boolean;
  settle(outcome: LockoutOutcome): Promise<void>;
}

export type LockoutEvent =
  /** Begins these logins at the same moment. */
  | { readonly do: 'begin'; readonly logins: readonly Login[] }
  /** Ends one of the logins that are in progress. */
  | { readonly do: 'settle'; readonly index: number; readonly outcome: LockoutOutcome }
  /** Lets milliseconds pass. */
  | { readonly do: 'pass'; readonly time: number }
  /** Changes the data that replicas share, as someone else may. */
  | { readonly do: 'disturb'; readonly how: string };

export interface LockoutDriver {
  begin(login: Login): AskedLogin;
  /** Resolves when no login that waits can learn anything new. */
  settled(): Promise<void>;
  pass?(time: number): Promise<unknown>;
  disturb?(how: string): Promise<unknown>;
}

export interface LockoutRules {
  readonly maxFailures: number;
  /** The window in milliseconds. No time that passes may end where a window ends. */
  readonly window: number;
  /** Whether replicas know what others know. If not, someone keeps that from them, or forges it. Each keeps to the rules. */
  readonly isShared: boolean;
}

/** Plays a history, and checks after each event that the guard keeps to the rules. @throws Error that names the rule */
export async function playHistory(
  driver: LockoutDriver,
  events: readonly LockoutEvent[],
  rules: LockoutRules,
): Promise<void> {
  const model = createLockoutModel(rules);
  for (const event of events) {
    if (event.do === 'begin')
      model.begin(event.logins.map((login) => ({ ...login, asked: driver.begin(login) })));
    if (event.do === 'settle') await model.settle(event.index, event.outcome);
    if (event.do === 'pass') {
      model.pass(event.time);
      await driver.pass?.(event.time);
    }
    if (event.do === 'disturb') await driver.disturb?.(event.how);
    await driver.settled();
    model.look();
  }
}

interface Modelled extends Login {
  readonly asked: AskedLogin;
  readonly begunAt: number;
  /** How many outcomes there were when it asked. */
  readonly outcomesBefore: number;
  /** Its secret was known to be right when it asked. */
  readonly wasKnown: boolean;
  /**
   * It may have gone out without a slot, next to one with the same secret, since it had waited and was right on its replica.
   * Left out until it is decided.
   */
  isBeside?: boolean;
  /** Left out until it is decided. */
  isGuess?: boolean;
  outcome?: LockoutOutcome;
  settledAt?: number;
  /** Its place in the order of outcomes. */
  order?: number;
}

/** Logins of one name in progress on one replica, and those that may wait for them. */
const [maxUnderWay, maxWaiting] = [3, 8];
/** Attempts without an answer after which a secret that was right needs a slot. */
const maxUnanswered = 3;

/** The logins of a history, and what each replica knows from them. */
function createHistory({ window, isShared }: LockoutRules) {
  const logins: Modelled[] = [];
  let now = 0;
  let outcomes = 0;
  const hasWaited = ({ asked, begunAt }: Modelled) => asked.hasWaited ?? now > begunAt;
  const isRecent = ({ settledAt = 0 }: Modelled) => now - settledAt < window;
  const isRefused = (login: Modelled) => login.outcome === 'refused' && isRecent(login);
  const isUnanswered = (login: Modelled) => login.outcome === 'unanswered' && isRecent(login);
  const ofPair = ({ name, secret }: Login) =>
    logins.filter((one) => one.name === name && one.secret === secret);
  /** The outcomes of a secret that show whether it is right, the last one first. */
  const decisive = (of: Login) =>
    ofPair(of)
      .filter(({ outcome }) => outcome === 'accepted' || outcome === 'refused')
      .sort((one, other) => (other.order ?? 0) - (one.order ?? 0));
  /** Whether the secret was right at the last attempt of a replica with this knowledge. */
  function isKnown(of: Login): boolean {
    const [last] = decisive(of).filter(
      (one) => isShared || one.replica === of.replica || one.outcome === 'refused',
    );
    return last?.outcome === 'accepted';
  }
  return {
    logins,
    isKnown,
    hasWaited,
    add(begun: readonly (Login & Pick<Modelled, 'asked'>)[]): void {
      const at = { begunAt: now, outcomesBefore: outcomes };
      logins.push(...begun.map((login) => ({ ...login, ...at, wasKnown: isKnown(login) })));
    },
    /** Whether the secret was found right after this login had asked. */
    wasRightSince: (of: Modelled) =>
      decisive(of).some(
        ({ outcome, order = 0 }) => outcome === 'accepted' && order >= of.outcomesBefore,
      ),
    wasRightHere: (of: Login) =>
      decisive(of).some(({ outcome, replica }) => outcome === 'accepted' && replica === of.replica),
    end(login: Modelled, outcome: LockoutOutcome): void {
      Object.assign(login, { outcome, settledAt: now, order: outcomes++ });
    },
    pass(time: number): void {
      now += time;
    },
    refusedOf: (name: string) => logins.filter((one) => one.name === name && isRefused(one)),
    unansweredOf: (name: string) => logins.filter((one) => one.name === name && isUnanswered(one)),
    /** Whether its slot is given back, at least where its secret was found to be right. */
    mayBeGivenBack: (login: Modelled) =>
      isUnanswered(login) &&
      decisive(login).some(
        ({ outcome, order = 0 }) => outcome === 'accepted' && order > (login.order ?? 0),
      ),
    wasRefused: (of: Login) => ofPair(of).some(isRefused),
    /**
     * Whether the secret was refused in the window, and is not sent again. This replica never sends it again. After a
     * refusal on another replica, it does if the secret was right here since. A login that waited for too long may have been
     * sent before the refusal.
     */
    isKnownWrong(of: Modelled): boolean {
      const all = decisive(of).filter(
        ({ order = 0 }) => order < of.outcomesBefore || !hasWaited(of),
      );
      if (all.some((one) => one.replica === of.replica && isRefused(one))) return true;
      const right = all.find((one) => one.replica === of.replica && one.outcome === 'accepted');
      return (
        isShared && all.some((one) => isRefused(one) && (one.order ?? 0) > (right?.order ?? -1))
      );
    },
    /** Whether no replica may send it because it was right: neither the one where it was right, nor others that learned that. */
    isGuess(of: Login): boolean {
      const all = decisive(of);
      if (!isShared) return !all.some(({ outcome }) => outcome === 'accepted');
      return (
        !isKnown(of) && all.find(({ replica }) => replica === of.replica)?.outcome !== 'accepted'
      );
    },
  };
}

const isWaiting = ({ asked }: Modelled) => asked.admission === undefined;
const isUnderWay = ({ asked, outcome }: Modelled) =>
  asked.admission === 'sent' && (outcome ?? asked.outcome) === undefined;

function expectRule(holds: boolean, rule: string, { secret, name, replica }: Login): void {
  if (!holds) throw new Error(`${rule}: ${secret} of ${name} on replica ${replica}`);
}

/** The checks of what may happen to a login now. */
function createChecks(
  history: ReturnType<typeof createHistory>,
  { maxFailures, isShared }: LockoutRules,
) {
  const { logins, refusedOf, unansweredOf, wasRefused, hasWaited } = history;
  const countedOf = (name: string) => [...refusedOf(name), ...unansweredOf(name)];
  /** Whether it is sent without a slot. */
  const isKnown = (login: Login) =>
    history.isKnown(login) &&
    unansweredOf(login.name).filter(({ secret }) => secret === login.secret).length < maxUnanswered;
  const namesakes = ({ name }: Login) => logins.filter((one) => one.name === name);
  const others = (login: Modelled) =>
    namesakes(login).filter((one) => one !== login && isUnderWay(one));
  const isFull = (login: Modelled) =>
    others(login).length + countedOf(login.name).length >= maxFailures;
  const withSecret = (login: Modelled) =>
    others(login).filter(({ secret }) => secret === login.secret);
  /** The logins in progress with the same secret that this replica sees. Others may have no slot. */
  const doubles = (login: Modelled) =>
    withSecret(login).filter((one) => one.replica === login.replica || (isShared && !one.isBeside));
  const isBeside = (login: Modelled) =>
    doubles(login).length > 0 && hasWaited(login) && history.wasRightHere(login);
  /** Whether a secret may be sent twice at a time: it was found right in the meantime, or has waited for too long. */
  function mayDouble(login: Modelled): boolean {
    const withSlot = doubles(login).filter((one) => !(one.isBeside ?? isBeside(one)));
    return (hasWaited(login) || history.wasRightSince(login)) && withSlot.length < maxFailures - 1;
  }
  /** One wrong secret, however many sent it at the same moment, throttles no one. */
  const isOneSecret = (refused: readonly Modelled[]) =>
    maxFailures > 1 &&
    !refused.some(({ isBeside: wasBeside, outcome }) => wasBeside || outcome === 'unanswered') &&
    new Set(refused.map(({ secret }) => secret)).size === 1;

  type Rule = (login: Modelled, undecided: readonly Modelled[]) => readonly [boolean, string];
  /** A rule for a login. `undecided` are the logins that were not decided before this event. */
  const rules: Readonly<Record<ModelAdmission, Rule>> = {
    sent: (login) => [
      !history.isKnownWrong(login) &&
        (doubles(login).length === 0 || isBeside(login) || mayDouble(login)),
      'a secret is not sent when it was refused in the window, nor twice at a time, nor in all slots',
    ],
    'invalid-credentials': (login) => [
      wasRefused(login) && (isShared || !isKnown(login) || history.isKnownWrong(login)),
      'only a secret that was refused in the window is called wrong',
    ],
    throttled: (login) => [
      !isKnown(login) &&
        countedOf(login.name).length >= maxFailures &&
        !(isShared && isOneSecret(countedOf(login.name))),
      'only a secret that is not known to be right is throttled, once more than one secret has used up the refused attempts',
    ],
    denied: (...asked) => [
      rules['invalid-credentials'](...asked)[0] || rules.throttled(...asked)[0],
      'only a secret that was refused, or one that is not known once the refused attempts are used up, is denied',
    ],
    failed: (login, undecided) => [
      hasWaited(login) || undecided.filter(({ name }) => name === login.name).length > maxWaiting,
      'a login fails only after it has waited, or behind many that wait',
    ],
  };
  /** Whether a login may wait. Someone who forges records of logins in progress can make others wait. */
  function mayWait(login: Modelled): boolean {
    const here = namesakes(login).filter((one) => one !== login && one.replica === login.replica);
    const atOnce = here.filter((one) => isWaiting(one) || isUnderWay(one));
    const isBlocked =
      withSecret(login).length > 0 || (isFull(login) && (!login.wasKnown || !isKnown(login)));
    return !isShared || hasWaited(login) || isBlocked || atOnce.length >= maxUnderWay;
  }
  return { rules, mayWait, isBeside };
}

function createLockoutModel(limits: LockoutRules) {
  const { maxFailures, isShared } = limits;
  const history = createHistory(limits);
  const { logins, refusedOf, unansweredOf, mayBeGivenBack } = history;
  const { rules, mayWait, isBeside } = createChecks(history, limits);
  return {
    begin: history.add,
    pass: history.pass,
    async settle(index: number, outcome: LockoutOutcome): Promise<void> {
      const inProgress = logins.filter(isUnderWay);
      const login = inProgress[index % Math.max(1, inProgress.length)];
      if (login) history.end(login, outcome);
      await login?.asked.settle(outcome);
    },
    /** Checks what has been decided since the last time, and all that holds at any time. */
    look(): void {
      const undecided = logins.filter(({ isGuess }) => isGuess === undefined);
      for (const login of undecided) {
        const { admission, outcome } = login.asked;
        if (admission === undefined) continue;
        expectRule(...rules[admission](login, undecided), login);
        login.isGuess = history.isGuess(login);
        login.isBeside = isBeside(login);
        if (outcome !== undefined) history.end(login, outcome);
      }
      for (const login of logins) {
        if (isWaiting(login))
          expectRule(mayWait(login), 'a login waits only for those in progress', login);
        const unanswered = unansweredOf(login.name).filter((one) => !mayBeGivenBack(one));
        const here = [...refusedOf(login.name), ...unanswered].filter(
          ({ replica }) => isShared || replica === login.replica,
        );
        const guesses = here.filter(({ isGuess }) => isGuess);
        expectRule(
          guesses.length <= maxFailures,
          'no more guesses are refused, or get no answer, than maxFailures in a window',
          login,
        );
      }
    },
  };
}
