import { redisUsers } from '@sallyport/test-servers/redis-users';
import { expect, test } from 'vitest';
import { accessLists } from './testing/access-lists.ts';

test('the rights that the tests run with are the documented ones', () => {
  const { json, hash } = accessLists;
  const lines = (user: string, rights: readonly string[]) =>
    rights.map((line) => `user ${user} on >PASSWORD ${line}`);
  const tokens = redisUsers['Tokens, with a gateway that only reads'];
  expect([...tokens].sort()).toEqual(
    [
      ...lines(
        'gateway',
        [json, hash].flatMap((lists) => [lists.gateway, lists.trackingGateway]),
      ),
      ...lines('gateway-admin', [json.issuer, hash.issuer]),
    ].sort(),
  );
  expect([...redisUsers['Sessions, with users of their own']].sort()).toEqual(
    [
      ...lines('gateway', [json.sessionGateway, hash.sessionGateway]),
      ...lines('gateway-admin', [json.sessionIssuer, hash.sessionIssuer]),
    ].sort(),
  );
});
