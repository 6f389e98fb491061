/** The commands of administrators in a soak. */
import { sha256 } from '@sallyport/test-servers/tokens';
import type { Ended, Identity, UserAct } from './history.ts';
import { replicaCount } from './limits.ts';
import type { Notes } from './notes.ts';
import type { Credential, World } from './world.ts';

/** Someone whom a command names. */
interface Named {
  readonly identity: Pick<Identity, 'username'>;
}

export interface Commands {
  /** Blocks a person. @returns whether the command exits with 0: all replicas have confirmed it */
  block(person: Named): Promise<boolean>;
  unblock(person: Named): Promise<boolean>;
  /** Runs `revoke --user`. It exits with 3 when the user has no session, and all replicas have forgotten what they cached. */
  forget(person: Named): Promise<boolean>;
  /** Runs `factor reset`. It exits with 3 when there was nothing. */
  reset(person: Named): Promise<boolean>;
  revoke(robot: Credential): Promise<void>;
  /** Waits for the commands in progress, and keeps the load from others until the result is disposed. */
  holdCommands(): Promise<Disposable>;
  areCommandsHeld(): boolean;
}

/** Commands are done when all replicas have confirmed them, whatever Redis has lost. */
const asOperator = ['--by', 'soak', '--expect', String(replicaCount)];

/** The commands of administrators, one at a time: the effect of two concurrent ones depends on their order. */
export function createCommands(
  world: World,
  { begin, end }: Pick<Notes, 'begin' | 'end'>,
): Commands {
  let last: Promise<unknown> = Promise.resolve();
  let holds = 0;
  const inTurn = <Result>(work: () => Promise<Result>): Promise<Result> => {
    const next = last.then(work);
    last = next.catch(() => undefined);
    return next;
  };
  async function act(
    what: UserAct['what'],
    person: Named,
    words: readonly string[],
    known: readonly number[],
  ) {
    const event = begin<UserAct>({ what, username: person.identity.username, isSure: false });
    const code = await world.command([...words, '--user', person.identity.username, ...asOperator]);
    end(event);
    event.isSure = code !== null && known.includes(code);
    return event.isSure;
  }
  return {
    async holdCommands(): Promise<Disposable> {
      holds += 1;
      await last;
      return {
        [Symbol.dispose]() {
          holds -= 1;
        },
      };
    },
    areCommandsHeld: () => holds > 0,
    block: (person: Named) => inTurn(() => act('block', person, ['block', '--for', '8h'], [0])),
    unblock: (person: Named) => inTurn(() => act('unblock', person, ['unblock'], [0])),
    forget: (person: Named) => inTurn(() => act('forget', person, ['revoke'], [0, 3])),
    reset: (person: Named) => inTurn(() => act('reset', person, ['factor', 'reset'], [0, 3])),
    revoke: (robot: Credential) =>
      inTurn(async () => {
        const event = begin<Ended>({ what: 'revoke', secret: robot, isSure: false });
        const digest = sha256(robot.token);
        const code = await world.command(['revoke', '--digest', digest, ...asOperator]);
        end(event);
        event.isSure = code === 0;
      }),
  };
}
