import { createAuthority } from '@sallyport/test-servers/certificates';
import { freePort } from '@sallyport/test-servers/ports';
import { startRedis } from '@sallyport/test-servers/redis';
import { randomToken } from '@sallyport/test-servers/tokens';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { describe, expect, test } from 'vitest';
import { cacheConfig, sealingKey, shared } from './testing/cache-gateway.ts';
import { ada, down } from './testing/chain.ts';
import { http1Client, review } from './testing/clients.ts';
import { asked, drawn, readDashboard, readRules, recordsOf } from './testing/deployed.ts';
import { startGateway } from './testing/gateway.ts';
import { authenticated, startScriptedBackend } from './testing/scripted-backend.ts';
import { startTraffic, startWatch, type Watch } from './watched.ts';

const tls = { certFile: 'tls/server.crt', keyFile: 'tls/server.key', clientAuth: 'none' };

/** Expects that each panel shows something, and each record exists: now, or after the next scrape. */
async function expectAnswers({ prometheus }: Watch): Promise<void> {
  const dashboard = await readDashboard();
  const panels = drawn(dashboard).flatMap(({ title, targets }) =>
    targets.map(({ expr }) => [title, asked(expr, dashboard)] as const),
  );
  const records = recordsOf(await readRules()).map(({ record }) => [record, record] as const);
  for (const [name, query] of [...panels, ...records]) {
    await waitFor(async () => (await prometheus.query(query)).length > 0, `a value of ${name}`);
  }
}

describe.concurrent('Prometheus, with the deployed rules and a clock of sixty times the speed,', () => {
  test('alerts on a backend that is down, and on reviews that do not come', async () => {
    const backend = await startScriptedBackend();
    await using redis = await startRedis();
    const authority = await createAuthority('a CA');
    const { certificate, key } = await authority.issueServer({ days: 90 });
    // One of three reviews is of a user who is cached. Cached answers expire after 100 ms.
    const lifetimes = { authenticatedTtl: '100ms', staleTtl: '10m' };
    const { config, files } = cacheConfig({
      authenticators: [shared(backend, 'corp', lifetimes, { circuit: { openFor: '1s' } })],
      // No call of Redis is late, whatever the machine is busy with.
      redis: { url: redis.url, timeout: '2s' },
      keys: [sealingKey()],
      files: { 'tls/server.crt': certificate, 'tls/server.key': key },
      more: { server: { tls } },
    });
    await using gateway = await startGateway({ config: { ...config }, files });
    await using watch = await startWatch([new URL(gateway.adminUrl).host]);
    using client = http1Client(gateway.url, { authority: authority.certificate });
    const known = randomToken();
    const turn = (answer: typeof ada): void => {
      backend.answer(known, answer);
      backend.answerOthers(answer);
    };
    turn(ada);
    const tokens = () => [known, randomToken(), randomToken()];
    const outage = [
      'SallyportErrorsRising',
      'SallyportMostReviewsFail',
      'SallyportAuthenticatorDown',
      'SallyportCircuitOpen',
      'SallyportStaleAnswers',
    ];
    const others = [
      'SallyportNoReviews',
      'SallyportOverloaded',
      'SallyportReloadRefused',
      'SallyportCertificateEnds',
    ];
    {
      await using _ = startTraffic(client, tokens);
      const ratio = async () =>
        (await watch.prometheus.query('job:sallyport_token_review_errors:ratio_rate5m'))[0];
      await waitFor(async () => (await ratio())?.value === 0, 'reviews without an error');
      await watch.untilClear();

      turn(down);
      await watch.untilFiring(...outage);
      for (const other of others) expect(await watch.firing()).not.toContain(other);
      const alerts = await watch.prometheus.alerts();
      const alert = alerts.find(({ labels }) => labels.alertname === 'SallyportAuthenticatorDown');
      expect(alert).toMatchObject({ labels: { authenticator: 'corp', severity: 'critical' } });
      expect(alert?.annotations.summary).toBe('The Sallyport authenticator corp is down');
      const rising = alerts.find(({ labels }) => labels.alertname === 'SallyportErrorsRising');
      expect(rising?.annotations.summary).toMatch(/^\d[\d.]*% of the token reviews/);
      await expectAnswers(watch);

      turn(ada);
      await watch.untilClear(...outage);
    }
    await watch.untilFiring('SallyportNoReviews');
    await using _ = startTraffic(client, tokens);
    await watch.untilClear();
  });

  test('alerts on a replica that is cut off, or has a certificate near its end, a bad edit or a full disk', async () => {
    const backend = await startScriptedBackend();
    // A hundred audit lines with a name so long exceed the capacity. Without a long word it is searched for secrets fast.
    backend.answerOthers(authenticated('n.'.repeat(50_000)));
    await using redis = await startRedis();
    const authority = await createAuthority('a CA');
    const [short, long] = await Promise.all([1, 90].map((days) => authority.issueServer({ days })));
    const { config, files } = cacheConfig({
      authenticators: [shared(backend, 'corp', {}, { timeout: '9s' })],
      redis: { url: redis.url },
      keys: [sealingKey()],
      files: { 'tls/server.crt': short?.certificate ?? '', 'tls/server.key': short?.key ?? '' },
      more: { server: { tls }, audit: { output: '/dev/full' } },
    });
    await using gateway = await startGateway({ config: { ...config }, files });
    await using watch = await startWatch([new URL(gateway.adminUrl).host]);
    // Otherwise the first scrape would find the final count, which is not an increase.
    const dropped = async () =>
      (await watch.prometheus.query('sallyport_audit_lines_dropped_total'))[0];
    await waitFor(async () => (await dropped())?.value === 0, 'a scrape before a line is dropped');
    {
      using client = http1Client(gateway.url, { authority: authority.certificate });
      // The reviews come one after the other. Together, some would take too long on a busy machine.
      for (let count = 0; count < 100; count++)
        expect((await review(client, randomToken())).authenticated).toBe(true);
    }
    await watch.untilFiring('SallyportAuditLinesDropped');
    await redis.stop();
    await gateway.configure({ ...config, authenticators: [] });
    const sharing = ['SallyportCutOffFromRevocations', 'SallyportCacheRedisFails'];
    const certificates = ['SallyportCertificateEnds', 'SallyportCertificateEndsNow'];
    await watch.untilFiring('SallyportReloadRefused', ...sharing, ...certificates);
    const ends = (await watch.prometheus.alerts()).find(
      ({ labels }) => labels.alertname === certificates[1],
    );
    expect(ends?.annotations.summary).toMatch(
      /^The certificate server of Sallyport 127\.0\.0\.1:\d+ expires in 23h /,
    );

    await redis.start();
    await gateway.write('tls/server.crt', long?.certificate ?? '');
    await gateway.write('tls/server.key', long?.key ?? '');
    await gateway.configure({ ...config });
    await watch.untilClear(
      'SallyportReloadRefused',
      'SallyportAuditLinesDropped',
      ...sharing,
      ...certificates,
    );
  });

  test('alerts on a replica that is overloaded, on one that has ended, and on all', async () => {
    const backend = await startScriptedBackend();
    // Each start uses the same port: Prometheus looks for it there.
    const admin = { listen: `127.0.0.1:${await freePort()}` };
    const cache = { store: 'memory' };
    const authenticators = [
      backend.authenticator('corp', { maxConcurrent: 1, cache, timeout: '9s' }),
    ];
    const start = () =>
      startGateway({ config: { admin, server: { maxInFlight: 2 }, authenticators } });
    await using other = await startGateway({ config: { authenticators } });
    await using watch = await startWatch([admin.listen, new URL(other.adminUrl).host]);
    {
      await using gateway = await start();
      using client = http1Client(gateway.url);
      await using _ = startTraffic(client, () => [randomToken(), randomToken()]);
      {
        // Reviews of one token wait for the same lookup: two of them are as many as the gateway takes.
        const hung = randomToken();
        backend.answer(hung, { kind: 'hang' });
        await using full = new AsyncDisposableStack();
        full.use(startTraffic(client, () => [hung, hung]));
        full.defer(() => {
          backend.answer(hung, ada);
          for (const call of backend.callsOf(hung)) call.settle(ada);
        });
        await watch.untilFiring('SallyportOverloaded');
      }
      await watch.untilClear();
      await gateway.kill();
    }
    await watch.untilFiring('SallyportTargetDown');
    expect(await watch.firing()).not.toContain('SallyportAllTargetsDown');
    await other.kill();
    await watch.untilFiring('SallyportAllTargetsDown');
    await using _ = await start();
    await watch.untilClear('SallyportAllTargetsDown');
    expect((await watch.prometheus.query('up == 0')).map(({ labels }) => labels.instance)).toEqual([
      new URL(other.adminUrl).host,
    ]);
  });
});
