import { answerSuccess } from '../../connection/testing/connecting.ts';
import type { FakeRequest } from '../../connection/testing/fake-peer.ts';
import { type FakeServer, startFakeServer } from '../../connection/testing/fake-server.ts';
import type { BindCredentials } from '../../connection/types.ts';

const people = 'ou=people';

export const user: BindCredentials = { dn: `uid=jane,${people}`, password: 'of the user' };

/** Makes another user for each number. */
export function userNumber(number: number): BindCredentials {
  return { dn: `uid=user-${number},${people}`, password: 'of the user' };
}

export function startWorkingServer(): Promise<FakeServer> {
  return startFakeServer({ onRequest: answerSuccess });
}

export function isUserBind({ operation, dn }: FakeRequest): boolean {
  return operation === 'bind' && dn?.endsWith(people) === true;
}
