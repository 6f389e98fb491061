/** What fails at random between the gateways, the directory and their Redis. */
import { type FaultPlan, randomPlans } from '@sallyport/test-servers/fault-proxy';
import type { World } from './world.ts';

interface Fault {
  readonly name: string;
  begin(): Promise<void>;
  end(): Promise<void>;
}

/** Ends all connections to the directory, so that a new plan is for all of them. */
function reconnect({ ways }: World): void {
  ways.directory.state = 'kill';
  ways.directory.state = 'open';
}

function network(world: World, name: string, plan: () => FaultPlan): Fault {
  const use = async (next: () => FaultPlan) => {
    world.network.plan = next;
    reconnect(world);
  };
  return {
    name,
    begin: () => use(plan),
    end: () => use(() => ({ kind: 'pass' })),
  };
}

function way(world: World, which: 'directory' | 'redis', state: 'hang' | 'kill' | number): Fault {
  const what = typeof state === 'number' ? 'slow' : state === 'hang' ? 'half-open' : 'refused';
  return {
    name: `connections to the ${which} are ${what}`,
    async begin() {
      world.ways[which].state = state;
    },
    async end() {
      world.ways[which].state = 'open';
    },
  };
}

/** Makes the faults of the directory, and all others. One of each begins at a time. @param random in [0, 1) */
export function createFaults(world: World, random: () => number): readonly (readonly Fault[])[] {
  const { slapd, redis, replicas } = world;
  const below = (limit: number) => Math.floor(random() * limit);
  const server = (name: string, one: typeof slapd | typeof redis, how: 'kill' | 'hang'): Fault => ({
    name: `${name}: ${how}`,
    begin: () => one[how](),
    end: () => one.start(),
  });
  const someBytes = () => Buffer.from(Array.from({ length: 1 + below(64) }, () => below(256)));
  // A lookup on an open connection is some 3,000 bytes, so each connection serves some users before its fault.
  const place = () => ({ direction: 'to-client', after: below(60_000) }) as const;
  const ofDirectory = [
    server('directory', slapd, 'kill'),
    server('directory', slapd, 'hang'),
    way(world, 'directory', 'hang'),
    way(world, 'directory', 'kill'),
    way(world, 'directory', 50 + below(200)),
    way(world, 'directory', 900),
    network(world, 'connections to the directory are reset', () => ({ kind: 'reset', ...place() })),
    network(world, 'connections to the directory stall', () => ({ kind: 'stall', ...place() })),
    network(world, 'the directory sends garbage', () => ({
      kind: 'garbage',
      ...place(),
      bytes: someBytes(),
      instead: random() < 0.5,
    })),
    network(
      world,
      'the network before the directory is bad',
      randomPlans({ seed: below(1_000_000), passing: 0.3, bytes: 60_000, time: 1_500 }),
    ),
  ];
  const others = [
    server('redis', redis, 'kill'),
    server('redis', redis, 'hang'),
    way(world, 'redis', 'hang'),
    way(world, 'redis', 'kill'),
    way(world, 'redis', 300),
    {
      name: 'answers of the redis are mangled',
      async begin() {
        world.network.mangledShare = 0.2;
      },
      async end() {
        world.network.mangledShare = 0;
      },
    },
    ...replicas.map((replica) => ({
      name: 'a replica is killed',
      begin: () => replica.kill(),
      end: () => replica.start(),
    })),
  ];
  return [ofDirectory, others];
}
