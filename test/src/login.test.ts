import { describe, expect, test } from 'vitest';
import { clusters, startLogin } from './testing/login-gateway.ts';
import { waitFor } from './testing/wait-for.ts';

const alice = { username: 'corp:alice', groups: ['corp:k8s-admins'] };

describe.concurrent('a login', () => {
  test('gives a session that each replica accepts, for its cluster alone', async () => {
    await using place = await startLogin({ count: 2 });
    const { people, ask, reviews } = place;
    const { name: username, password } = people.alice;
    const began = Date.now();
    const answer = await ask({ body: { username, password, cluster: 'prod', device: 'laptop' } });
    expect(answer).toMatchObject({ status: 201, json: { token: expect.stringMatching(/^sps_/), user: alice } });
    expect(Math.abs(Date.parse(String(answer.json?.expiresAt)) - began - 8 * 3_600_000)).toBeLessThan(60_000);
    const token = String(answer.json?.token);
    for (const status of await reviews(token)) {
      expect(status).toEqual({ authenticated: true, user: alice, audiences: [clusters.prod.audience] });
    }
    for (const status of await reviews(token, clusters.staging.audience))
      expect(status).toEqual({ authenticated: false });
  });
});
