import type { BindCredentials } from '../../connection/types.ts';
import { answerSuccess } from '../../testing/connecting.ts';
import type { FakeRequest, FakeServerOptions } from '../../testing/fake-peer.ts';
import { type FakeServer, startFakeServer } from '../../testing/fake-server.ts';
import { bindResponse } from '../../testing/ldap-answers.ts';

const people = 'ou=people';

export const user: BindCredentials = { dn: `uid=jane,${people}`, password: 'of the user' };

/** Another user for each number. */
export function userNumber(number: number): BindCredentials {
  return { dn: `uid=user-${number},${people}`, password: 'of the user' };
}

/** A server that works, except for what `options` change. */
export function startWorkingServer(options: FakeServerOptions = {}): Promise<FakeServer> {
  return startFakeServer({ onRequest: answerSuccess, ...options });
}

/** A server that obliges, but answers binds of the user with that code. */
export function startRefusingServer(code: number): Promise<FakeServer> {
  return startFakeServer({
    onRequest(request, peer) {
      if (isUserBind(request)) peer.write(bindResponse({ id: request.id, code }));
      else answerSuccess(request, peer);
    },
  });
}

export function isUserBind({ operation, dn }: FakeRequest): boolean {
  return operation === 'bind' && dn?.endsWith(people) === true;
}

export function userBinds({ requests }: FakeServer): readonly FakeRequest[] {
  return requests.filter(isUserBind);
}
