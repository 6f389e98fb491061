/*
 * The rules of the lockout guard, for whatever runs it: one process, replicas that share a Redis, gateways in front of a
 * directory. A driver asks for logins; the model knows which of them may be sent, refused or kept waiting.
 */

export type LockoutOutcome = 'accepted' | 'refused' | 'unavailable';

/** `denied`: without a reason, as clients see it. */
export type LockoutVerdict = 'sent' | 'invalid-credentials' | 'throttled' | 'denied' | 'failed';

export interface Login {
  readonly replica: number;
  readonly name: string;
  readonly secret: string;
}

/** A login that has asked the guard. */
export interface AskedLogin {
  /** Left out while it waits. */
  readonly verdict?: LockoutVerdict | undefined;
  /** Where the driver does not choose it: what came of a login that was sent. */
  readonly outcome?: LockoutOutcome;
  /** Where the driver does not let time pass: the guard kept it waiting for as long as it may. */
  readonly hasWaited?: boolean;
  settle(outcome: LockoutOutcome): Promise<void>;
}

export type LockoutEvent =
  /** All at the same moment. */
  | { readonly do: 'begin'; readonly logins: readonly Login[] }
  /** Ends one of the logins that are in progress. */
  | { readonly do: 'settle'; readonly index: number; readonly outcome: LockoutOutcome }
  /** Milliseconds. */
  | { readonly do: 'pass'; readonly time: number }
  /** What someone else does to what replicas share. */
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
  /** Milliseconds. No time that passes may end where a window ends. */
  readonly window: number;
  /** Replicas know what others know. Otherwise someone keeps that from them, or forges it, and each must keep to the rules. */
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
    if (event.do === 'begin') model.begin(event.logins.map((login) => ({ ...login, asked: driver.begin(login) })));
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
   * It may have gone out without a slot, beside one with the same secret, since it had waited and was right on its replica.
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

/** What logins of a history tell, and to whom. */
function createHistory({ window, isShared }: LockoutRules) {
  const logins: Modelled[] = [];
  let now = 0;
  let outcomes = 0;
  const hasWaited = ({ asked, begunAt }: Modelled) => asked.hasWaited ?? now > begunAt;
  const isRefused = ({ outcome, settledAt = 0 }: Modelled) => outcome === 'refused' && now - settledAt < window;
  const ofPair = ({ name, secret }: Login) => logins.filter((one) => one.name === name && one.secret === secret);
  /** The outcomes of a secret that tell whether it is right, the last first. */
  const told = (of: Login) =>
    ofPair(of)
      .filter(({ outcome }) => outcome === 'accepted' || outcome === 'refused')
      .sort((one, other) => (other.order ?? 0) - (one.order ?? 0));
  /** It was right the last time that a replica with this knowledge tried it. */
  function isKnown(of: Login): boolean {
    const [last] = told(of).filter((one) => isShared || one.replica === of.replica || one.outcome === 'refused');
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
    /** It was found right after it had asked. */
    wasRightSince: (of: Modelled) =>
      told(of).some(({ outcome, order = 0 }) => outcome === 'accepted' && order >= of.outcomesBefore),
    wasRightHere: (of: Login) =>
      told(of).some(({ outcome, replica }) => outcome === 'accepted' && replica === of.replica),
    end(login: Modelled, outcome: LockoutOutcome): void {
      Object.assign(login, { outcome, settledAt: now, order: outcomes++ });
    },
    pass(time: number): void {
      now += time;
    },
    refusedOf: (name: string) => logins.filter((one) => one.name === name && isRefused(one)),
    wasRefused: (of: Login) => ofPair(of).some(isRefused),
    /**
     * It was refused in the window, and is not sent again: by this replica never, else unless it was right here since. One
     * that waited for too long may have been sent before that.
     */
    isKnownWrong(of: Modelled): boolean {
      const all = told(of).filter(({ order = 0 }) => order < of.outcomesBefore || !hasWaited(of));
      if (all.some((one) => one.replica === of.replica && isRefused(one))) return true;
      const right = all.find((one) => one.replica === of.replica && one.outcome === 'accepted');
      return isShared && all.some((one) => isRefused(one) && (one.order ?? 0) > (right?.order ?? -1));
    },
    /** No replica may send it because it was right: not the one that it was right on, nor others that learned of that. */
    isGuess(of: Login): boolean {
      const all = told(of);
      if (!isShared) return !all.some(({ outcome }) => outcome === 'accepted');
      return !isKnown(of) && all.find(({ replica }) => replica === of.replica)?.outcome !== 'accepted';
    },
  };
}

const isWaiting = ({ asked }: Modelled) => asked.verdict === undefined;
const isUnderWay = ({ asked, outcome }: Modelled) =>
  asked.verdict === 'sent' && (outcome ?? asked.outcome) === undefined;

function expectRule(holds: boolean, rule: string, { secret, name, replica }: Login): void {
  if (!holds) throw new Error(`${rule}: ${secret} of ${name} on replica ${replica}`);
}

/** What may become of a login now. */
function createChecks(history: ReturnType<typeof createHistory>, { maxFailures, isShared }: LockoutRules) {
  const { logins, isKnown, refusedOf, wasRefused, hasWaited } = history;
  const namesakes = ({ name }: Login) => logins.filter((one) => one.name === name);
  const others = (login: Modelled) => namesakes(login).filter((one) => one !== login && isUnderWay(one));
  const isFull = (login: Modelled) => others(login).length + refusedOf(login.name).length >= maxFailures;
  const withSecret = (login: Modelled) => others(login).filter(({ secret }) => secret === login.secret);
  /** In progress with the same secret, so that this replica sees it: others may have no slot. */
  const doubles = (login: Modelled) =>
    withSecret(login).filter((one) => one.replica === login.replica || (isShared && !one.isBeside));
  const isBeside = (login: Modelled) => doubles(login).length > 0 && hasWaited(login) && history.wasRightHere(login);
  /** A secret goes out one at a time, unless it was found right in the meantime, or has waited for too long. */
  function mayDouble(login: Modelled): boolean {
    const withSlot = doubles(login).filter((one) => !(one.isBeside ?? isBeside(one)));
    return (hasWaited(login) || history.wasRightSince(login)) && withSlot.length < maxFailures - 1;
  }
  /** One wrong secret, however many sent it at the same moment, throttles no one. */
  const isOneSecret = (refused: readonly Modelled[]) =>
    maxFailures > 1 && !refused.some((one) => one.isBeside) && new Set(refused.map(({ secret }) => secret)).size === 1;

  type Rule = (login: Modelled, undecided: readonly Modelled[]) => readonly [boolean, string];
  /** `undecided`: those that were not decided when the event came, and that it has decided. */
  const rules: Readonly<Record<LockoutVerdict, Rule>> = {
    sent: (login) => [
      !history.isKnownWrong(login) && (doubles(login).length === 0 || isBeside(login) || mayDouble(login)),
      'a secret is not sent when it was refused in the window, nor twice at a time, nor in all slots',
    ],
    'invalid-credentials': (login) => [
      wasRefused(login) && (isShared || !isKnown(login) || history.isKnownWrong(login)),
      'only a secret that was refused in the window is called wrong',
    ],
    throttled: (login) => [
      !isKnown(login) &&
        refusedOf(login.name).length >= maxFailures &&
        !(isShared && isOneSecret(refusedOf(login.name))),
      'only a secret that is not known to be right is throttled, once more than one secret has used up the refused tries',
    ],
    denied: (...asked) => [
      rules['invalid-credentials'](...asked)[0] || rules.throttled(...asked)[0],
      'only a secret that was refused, or one that is not known once the refused tries are used up, is denied',
    ],
    failed: (login, undecided) => [
      hasWaited(login) || undecided.filter(({ name }) => name === login.name).length > maxWaiting,
      'a login fails only after it has waited, or behind many that wait',
    ],
  };
  /** Who forges records of logins in progress can make others wait. */
  function mayWait(login: Modelled): boolean {
    const here = namesakes(login).filter((one) => one !== login && one.replica === login.replica);
    const atOnce = here.filter((one) => isWaiting(one) || isUnderWay(one));
    const isBlocked = withSecret(login).length > 0 || (isFull(login) && (!login.wasKnown || !isKnown(login)));
    return !isShared || hasWaited(login) || isBlocked || atOnce.length >= maxUnderWay;
  }
  return { rules, mayWait, isBeside };
}

function createLockoutModel(limits: LockoutRules) {
  const { maxFailures, isShared } = limits;
  const history = createHistory(limits);
  const { logins, refusedOf } = history;
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
        const { verdict, outcome } = login.asked;
        if (verdict === undefined) continue;
        expectRule(...rules[verdict](login, undecided), login);
        login.isGuess = history.isGuess(login);
        login.isBeside = isBeside(login);
        if (outcome !== undefined) history.end(login, outcome);
      }
      for (const login of logins) {
        if (isWaiting(login)) expectRule(mayWait(login), 'a login waits only for those in progress', login);
        const here = refusedOf(login.name).filter(({ replica }) => isShared || replica === login.replica);
        const guesses = here.filter(({ isGuess }) => isGuess);
        expectRule(guesses.length <= maxFailures, 'no more guesses are refused than maxFailures in a window', login);
      }
    },
  };
}
