/** Runs the operations of a login on open connections, and nothing else. It shows what the directory itself can do. */

import type { DirectoryFacts } from './backends.ts';
import { type BareLdap, connectLdap } from './bare-ldap.ts';
import { type Driven, drive, type Order } from './drive.ts';
import { answerMessages } from './worker.ts';

export interface LdapLoopMessage {
  readonly directory: DirectoryFacts;
  readonly order: Order;
}

/** Two connections: one searches with the rights of the service account, and the other binds as users. */
type Pair = readonly [searches: BareLdap, binds: BareLdap];

const idle: Pair[] = [];
let next = 0;

answerMessages<LdapLoopMessage, Driven>(async ({ directory, order }) => {
  const { port, ca, service, people, userBase, groupBase } = directory;
  while (idle.length < order.at) {
    const [searches, binds] = [await connectLdap(port, ca), await connectLdap(port, ca)];
    expectCode(await searches.bind(service.dn, service.password), 0);
    idle.push([searches, binds]);
  }
  return await drive(order, async () => {
    const { name, dn, password } = people[
      next++ % people.length
    ] as DirectoryFacts['people'][number];
    const pair = idle.pop() as Pair;
    const [searches, binds] = pair;
    expectCode(await searches.search(userBase, 'uid', name), 1);
    expectCode(await binds.bind(dn, password), 0);
    expectCode(await searches.search(groupBase, 'member', dn), 1);
    idle.push(pair);
  });
});

function expectCode(
  { code, entries }: { readonly code: number; readonly entries: number },
  expected: number,
): void {
  if (code !== 0 || entries !== expected)
    throw new Error(`the directory answered ${code}, with ${entries} entries`);
}
