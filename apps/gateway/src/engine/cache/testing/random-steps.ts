import { recordingContext } from '@sallyport/authenticator/conformance';
import { connect } from '@sallyport/redis-connection';
import { startRedis } from '@sallyport/test-servers/redis';
import fc from 'fast-check';
import { ModelWorld } from './model-world.ts';

const tokens = ['token-0', 'token-1', 'token-2', 'token-3'];
const users = ['jane', 'john', 'ada'];
const groups = ['dev', 'ops'];

const replica = fc.nat(2);
const token = fc.constantFrom(...tokens);
const authenticated = fc.record(
  {
    kind: fc.constant('authenticated' as const),
    username: fc.constantFrom(...users),
    groups: fc.subarray(groups),
    lifetime: fc.constantFrom(2_000, 20_000, 90_000),
  },
  { requiredKeys: ['kind', 'username', 'groups'] },
);
const state = fc.oneof(
  { weight: 5, arbitrary: authenticated },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constantFrom('rejected' as const, 'no-opinion' as const) }),
  },
);
const subject = fc.oneof(
  fc.record({ kind: fc.constant('user' as const), name: fc.constantFrom(...users) }),
  fc.record({ kind: fc.constant('token' as const), name: token }),
);
const listed = fc.oneof(
  fc.record({
    action: fc.constant('revoke' as const),
    subject: fc.oneof(subject, fc.constant({ kind: 'all' as const, name: '' })),
  }),
  fc.record({
    action: fc.constantFrom('block' as const, 'block' as const, 'unblock' as const),
    subject: fc.oneof(
      subject,
      fc.record({ kind: fc.constant('group' as const), name: fc.constantFrom(...groups) }),
    ),
  }),
);

const audiences = fc.constantFrom<readonly string[]>([], [], [], ['a', 'b']);
const passing = fc.constantFrom(
  1,
  100,
  400,
  700,
  1_500,
  1_500,
  6_000,
  9_000,
  30_000,
  61_000,
  130_000,
);

/** One step of a kind: fast-check prints it as it is. */
const step = <Kind extends string, Model extends object>(
  weight: number,
  kind: Kind,
  model: { [Key in keyof Model]: fc.Arbitrary<Model[Key]> },
) => ({
  weight,
  arbitrary: fc.record({ ...model }).map((values) => ({ ...(values as Model), step: kind })),
});

const steps = fc.oneof(
  step(60, 'review', { replica, token, audiences }),
  step(4, 'set', { token, state }),
  step(3, 'down', { isDown: fc.boolean() }),
  step(2, 'slow', {}),
  step(6, 'land', {}),
  step(7, 'pass', { time: passing }),
  step(14, 'tick', {}),
  step(4, 'poll', { replica }),
  step(4, 'alone', { replica, isAlone: fc.boolean() }),
  step(7, 'publish', { listed, time: fc.constantFrom(3_000, 60_000, 600_000) }),
  step(1, 'flush', {}),
  step(1, 'snapshot', {}),
  step(1, 'failOver', {}),
  step(1, 'restart', { replica }),
  step(2, 'rotate', { replica }),
);

type Step = typeof steps extends fc.Arbitrary<infer One> ? One : never;

async function take(one: Step, world: ModelWorld): Promise<void> {
  switch (one.step) {
    case 'review':
      return world.review(one.replica, one.token, one.audiences);
    case 'set':
      return world.set(one.token, one.state);
    case 'down':
      world.model.isDown = one.isDown;
      return;
    case 'pass':
      world.now += one.time;
      return;
    case 'alone':
      return world.setAlone(one.replica, one.isAlone);
    case 'publish':
      return world.publish({ action: one.listed.action, ...one.listed.subject }, one.time);
    case 'poll':
    case 'restart':
    case 'rotate':
      return world[one.step](one.replica);
    default:
      return world[one.step]();
  }
}

/** The number of steps of each run. */
export const stepsEach = 200;

/**
 * Takes random steps with a Redis of their own, and checks each answer by the model. The seed is fixed.
 *
 * @returns the number of accepts by their source
 */
export async function takeRandomSteps(runs: number): Promise<ReadonlyMap<string, number>> {
  await using opened = new AsyncDisposableStack();
  const redis = opened.use(await startRedis());
  const { context } = recordingContext({ pluginName: 'model', baseDirectory: '/' });
  const connection = await connect(
    {
      servers: { kind: 'socket', secure: false, database: 0, path: redis.socket },
      tls: { minVersion: 'TLSv1.2' },
      commandTimeout: 20_000,
    },
    { minimalAcl: '', wrongType: '', consequence: '' },
    context,
  );
  opened.defer(() => connection.close());
  const accepts = new Map<string, number>();
  await fc.assert(
    fc.asyncProperty(
      fc.array(steps, { minLength: stepsEach, maxLength: stepsEach }),
      async (taken) => {
        await connection.run((client) => client.flushall(), new AbortController().signal);
        const world = new ModelWorld(connection);
        for (const [index, one] of tokens.entries()) {
          world.set(one, {
            kind: 'authenticated',
            username: users[index % users.length] ?? '',
            groups: ['dev'],
          });
        }
        await world.tick();
        for (const one of taken) await take(one, world);
        await world.land();
        for (const [source, count] of world.model.accepts)
          accepts.set(source, (accepts.get(source) ?? 0) + count);
      },
    ),
    { seed: 20_300_101, numRuns: runs },
  );
  return accepts;
}
