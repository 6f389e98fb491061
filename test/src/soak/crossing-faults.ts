/** Two faults that cross: lost answers of the directory, and a replica that starts with an empty Redis. */
import { randomToken } from '@sallyport/test-servers/tokens';
import { sleep } from './load.ts';
import { flush, insist, mortal, type Place, repeat } from './place.ts';

/** Sends wrong passwords of one user, while the directory's answers to that user get lost. */
export async function loseAnswers({ world, load, during, random }: Place): Promise<void> {
  const person = random.choose(load.groups.quiet);
  const guess = world.passwordOf(person, randomToken());
  const share = random.choose([1, 1, 0.6]);
  const work = async () => {
    world.directory.losesAnswer = (dn) =>
      dn.toLowerCase() === person.dn.toLowerCase() && random.next() < share;
    await repeat(12, 300, () => load.acts.show(guess, random.choose(world.replicas).number));
    await load.acts.everywhere(guess);
  };
  const end = async () => {
    world.directory.losesAnswer = () => false;
  };
  await during(
    { kind: `directory: loses ${100 * share} % of the answers to a user`, hits: ['directory'] },
    work,
    end,
  );
}

/** Starts a replica while the cache Redis is empty, and the others can't reach it yet. */
export async function startWithEmptyCache(place: Place): Promise<void> {
  const { world, load, during, random } = place;
  const { block, unblock, everywhere, show } = load.acts;
  const [person, replica, failure] = [
    random.choose(load.groups.blocked),
    mortal(place),
    place.how(),
  ];
  const others = world.replicas.filter((other) => other !== replica);
  await insist(() => block(person));
  const work = async () => {
    await Promise.all(others.map(({ number }) => world.cache.cutOff(number, failure)));
    await replica.kill();
    await flush(world.cache);
    await replica.start();
    // A replica that starts waits for 2 s for the others.
    await repeat(16, 250, () => show(person.credential, replica.number));
  };
  const end = async () => {
    await Promise.all(others.map(({ number }) => world.cache.reconnect(number)));
    // These are shown before the list is back.
    await repeat(8, 250, () => show(person.credential, replica.number));
  };
  await during(
    {
      kind: `cache: empty, and a replica starts; the others: cut off, ${failure}`,
      hits: ['cache', 'replica'],
    },
    work,
    end,
  );
  await repeat(3, 300, () => everywhere(person.credential));
  await sleep(100);
  await unblock(person);
}
