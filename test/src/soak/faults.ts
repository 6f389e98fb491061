/** The faults of a soak, and what people do during them. Each fault has ended, and all has recovered, before the next one. */
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:tls';
import { randomToken } from '@sallyport/test-servers/tokens';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { metric, names } from '../bench/gateway.ts';
import { loseAnswers, startWithEmptyCache } from './crossing-faults.ts';
import { limits } from './limits.ts';
import { type SoakLoad, sleep } from './load.ts';
import { endSessionsWithinLogin, removeAppWithinLogin } from './login-faults.ts';
import { loginSteps, pauseWithinLogin } from './login-pauses.ts';
import { membersFile } from './people.ts';
import { flush, insist, mortal, type Place, repeat, type Scenario } from './place.ts';
import type { Random } from './random.ts';
import type { Session } from './sessions.ts';
import type { Credential, Replica, World } from './world.ts';

export function createScenarios(world: World, load: SoakLoad, random: Random): readonly Scenario[] {
  let edits = 0;
  const place: Place = {
    world,
    load,
    random,
    during: (fault, work, end) =>
      load.acts.during(fault, work, async () => {
        await end?.();
        await load.recovered();
      }),
    pause: (min = 2_000, max = 5_000) => sleep(min + random.next() * (max - min)),
    how: () => random.choose(['kill', 'hang']),
    nextEdit: () => ++edits,
  };
  const scenarios: Readonly<Record<string, (place: Place) => Promise<void>>> = {
    'the cache Redis fails': (all) => failStore(all, 'cache'),
    'the token Redis fails': (all) => failStore(all, 'tokens'),
    ...(world.cache.failOver && {
      'the cache Redis fails over': (all: Place) => failOver(all, 'cache'),
    }),
    ...(world.tokens.failOver && {
      'the token Redis fails over': (all: Place) => failOver(all, 'tokens'),
    }),
    'the cache Redis loses its data': loseData,
    'the cache Redis is full': (all) => fillStore(all, 'cache'),
    'the token Redis is full': (all) => fillStore(all, 'tokens'),
    'the directory fails': failDirectory,
    'the directory is slow': slowDirectory,
    'a replica is killed': killReplica,
    'a replica starts while the cache Redis is away': startWithoutCache,
    'a replica is cut off': cutOffReplica,
    'a block after the cache Redis lost its data, and a replica is cut off': blockBehindCutOff,
    'logouts before and after the token Redis fails': logOutAroundFailure,
    'an old password at all replicas': showOldPassword,
    'files change': changeFiles,
    'the directory loses answers': loseAnswers,
    'a replica starts with an empty cache Redis': startWithEmptyCache,
    'a login in progress when sessions end': endSessionsWithinLogin,
    'a login in progress when its app is removed': removeAppWithinLogin,
    ...Object.fromEntries(
      loginSteps.map((step) => [
        `a login in progress and a pause at the ${step}`,
        (all: Place) => pauseWithinLogin(all, step),
      ]),
    ),
  };
  return Object.entries(scenarios).map(([name, run]) => ({ name, run: () => run(place) }));
}

async function failStore(
  { world, during, pause, how }: Place,
  part: 'cache' | 'tokens',
): Promise<void> {
  const failure = how();
  // Nodes that start again may choose another master, as in a failover.
  const fault = {
    kind: `${part}: ${failure}`,
    hits: [part],
    losesWrites: world[part].failOver !== undefined,
  };
  const work = async () => {
    await world[part].fail(failure);
    await pause();
  };
  await during(fault, work, world[part].recover);
}

async function failOver(
  { world, during, pause, how }: Place,
  part: 'cache' | 'tokens',
): Promise<void> {
  const failure = how();
  const work = async () => {
    await world[part].failOver?.(failure);
    await pause();
  };
  await during(
    { kind: `${part}: failover, ${failure}`, hits: [part], losesWrites: true },
    work,
    world[part].recover,
  );
}

async function loseData({ world, during, pause }: Place): Promise<void> {
  const work = async () => {
    await flush(world.cache);
    await pause(1_000, 2_000);
  };
  await during({ kind: 'cache: data lost', hits: ['cache'] }, work);
}

async function fillStore({ world, during, pause }: Place, part: 'cache' | 'tokens'): Promise<void> {
  const work = async () => {
    await world[part].fill(true);
    await pause();
  };
  await during({ kind: `${part}: full`, hits: [part] }, work, () => world[part].fill(false));
}

async function failDirectory({ world, during, pause, how }: Place): Promise<void> {
  const failure = how();
  const work = async () => {
    await world.slapd[failure]();
    // This is longer than answers are cached, and at times longer than `staleTtl`.
    await pause(limits.authenticatedTtl, limits.authenticatedTtl + limits.staleTtl + 2_000);
  };
  await during({ kind: `directory: ${failure}`, hits: ['directory'] }, work, world.slapd.start);
}

async function slowDirectory({ world, during, pause, random }: Place): Promise<void> {
  const delay = 20 + Math.round(random.next() * 300);
  const work = async () => {
    world.directory.state = delay;
    await pause();
  };
  const end = async () => {
    world.directory.state = 'open';
  };
  await during({ kind: `directory: ${delay} ms for each piece`, hits: ['directory'] }, work, end);
}

async function killReplica(place: Place): Promise<void> {
  const replica = mortal(place);
  const work = async () => {
    await replica.kill();
    await place.pause(0, 2_000);
  };
  await place.during(
    { kind: 'replica: kill', hits: ['replica'], replica: replica.number },
    work,
    replica.start,
  );
}

async function startWithoutCache(place: Place): Promise<void> {
  const { world, load, during, random } = place;
  const { block, unblock, everywhere } = load.acts;
  const [person, replica] = [random.choose(load.groups.blocked), mortal(place)];
  await insist(() => block(person));
  const failure = place.how();
  const work = async () => {
    await world.cache.fail(failure);
    await replica.kill();
    await replica.start();
    await repeat(5, 300, () => everywhere(person.credential));
  };
  const kind = `cache: ${failure}, and a replica starts`;
  await during(
    { kind, hits: ['cache', 'replica'], losesWrites: world.cache.failOver !== undefined },
    work,
    world.cache.recover,
  );
  await repeat(3, 300, () => everywhere(person.credential));
  await unblock(person);
}

async function cutOffReplica(place: Place): Promise<void> {
  const { world, during, pause, random } = place;
  const [{ number: replica }, failure] = [random.choose(world.replicas), place.how()];
  const work = async () => {
    await world.cache.cutOff(replica, failure);
    await pause();
  };
  await during({ kind: `cache: cut off, ${failure}`, hits: ['cache'], replica }, work, () =>
    world.cache.reconnect(replica),
  );
}

async function blockBehindCutOff(place: Place): Promise<void> {
  const { world, load, during, random } = place;
  const { block, unblock, everywhere } = load.acts;
  const [person, { number: replica }, failure] = [
    random.choose(load.groups.blocked),
    mortal(place),
    place.how(),
  ];
  await everywhere(person.credential);
  const work = async () => {
    await world.cache.cutOff(replica, failure);
    await place.pause(0, 1_000);
    await flush(world.cache);
    await place.pause(0, 2_000);
    await block(person);
    await repeat(5, 200, () => everywhere(person.credential));
  };
  const fault = {
    kind: `cache: data lost, and replica ${replica} is cut off, ${failure}`,
    hits: ['cache'],
  } as const;
  await during(fault, work, () => world.cache.reconnect(replica));
  await unblock(person);
}

async function logOutAroundFailure(place: Place): Promise<void> {
  const { world, load, during, random } = place;
  const { logIn, logOut, everywhere } = load.acts;
  const person = random.choose(load.groups.quiet);
  const replica = () => random.choose(world.replicas).number;
  const open = async () => {
    const session = await logIn(person, person.credential, replica());
    if (session === undefined) throw new Error('no one can log in, though all has recovered');
    await everywhere(session);
    return session;
  };
  const sessions = [await open(), await open(), await open()] as const;
  const [before, within, after] = sessions;
  const show = (some: readonly Session[]) =>
    Promise.all(some.map((session) => everywhere(session)));
  await logOut(before, replica());
  // After these, all replicas have heard of it.
  await repeat(4, 700, () => everywhere(before));
  const failure = place.how();
  const losesWrites = world.tokens.failOver !== undefined;
  const fail = async () => {
    await world.tokens.fail(failure);
    // These are more calls than succeeded before, so the circuits open.
    const others = load.acts.sessions.slice(-20);
    await Promise.all([
      logOut(within, replica()),
      repeat(3, 100, () => show([...sessions, ...others])),
    ]);
  };
  const work = async () => {
    await load.acts.during(
      { kind: `tokens: ${failure}`, hits: ['tokens'], losesWrites },
      fail,
      world.tokens.recover,
    );
    await endSoon(load, after, replica());
    await repeat(15, 300, () => show(sessions));
  };
  await during({ kind: 'tokens: circuits open', hits: ['tokens'] }, work);
}

/** Logs out as soon as Redis is back. */
async function endSoon({ acts }: SoakLoad, session: Session, replica: number): Promise<void> {
  for (let attempts = 0; attempts < 150 && !(await acts.logOut(session, replica)); attempts++)
    await sleep(100);
}

/** Shows an old password as if a cached answer expired everywhere at one moment, and three kube-apiservers asked again. */
async function showOldPassword({ world, load, during, random, pause }: Place): Promise<void> {
  const { acts, groups } = load;
  const person = random.choose(groups.quiet);
  await acts.everywhere(person.credential);
  await acts.changePassword(person);
  const old = person.old.at(-1) ?? person.credential;
  await pause(limits.authenticatedTtl + 500, limits.authenticatedTtl + 1_500);
  const work = async () => {
    // A real directory takes longer for a bind than this one does.
    world.directory.state = 30;
    await acts.everywhere(old, random.choose([1, 2]));
    for (const { number } of world.replicas) await acts.show(person.credential, number);
  };
  const end = async () => {
    world.directory.state = 'open';
  };
  await during({ kind: 'directory: 30 ms for each piece', hits: ['directory'] }, work, end);
}

/** Changes files. Each change takes effect within some seconds, and no review may notice it. */
async function changeFiles({ world, load, nextEdit }: Place): Promise<void> {
  const { acts } = load;
  const reviewTimeout = `${9_000 + nextEdit()}ms`;
  await reload(world, 'gateway.yaml', (replica) => world.config(replica, reviewTimeout));
  const { cert, key } = await world.tls.renew();
  await world.write(names.certFile, cert);
  await world.write(names.keyFile, key);
  for (const replica of world.replicas) {
    await waitFor(
      async () =>
        (await certificateOf(world, replica)) === new X509Certificate(cert).fingerprint256,
      'it',
    );
  }
  const guest = world.newCredential('static token', randomToken(), {
    username: 'guest',
    groups: [],
    uid: undefined,
  });
  const write = (some: readonly Credential[]) =>
    reload(world, 'tokens.yaml', () => membersFile(some));
  await acts.add(guest, () => write([...world.members, guest]));
  await acts.everywhere(guest, 2);
  await acts.remove(guest, () => write(world.members));
  await acts.everywhere(guest, 2);
}

/** Replaces a file, and waits until all replicas have reloaded it. */
async function reload(
  world: World,
  name: string,
  content: (replica: number) => string,
): Promise<void> {
  const reloads = ({ gateway }: Replica) =>
    metric(gateway.adminUrl, 'sallyport_config_reloads_total', ['result="success"']);
  const before = await Promise.all(world.replicas.map(reloads));
  await world.write(name, content);
  for (const [at, replica] of world.replicas.entries()) {
    await waitFor(async () => (await reloads(replica)) > (before[at] ?? 0), `a reload of ${name}`);
  }
}

/** The fingerprint of the certificate that a new connection gets. */
async function certificateOf({ tls }: World, { gateway }: Replica): Promise<string | undefined> {
  const port = Number(new URL(gateway.url).port);
  const socket = connect({ ...tls.client, port, host: '127.0.0.1', ALPNProtocols: ['http/1.1'] });
  await once(socket, 'secureConnect');
  const fingerprint = socket.getPeerX509Certificate()?.fingerprint256;
  socket.destroy();
  return fingerprint;
}
