import { X509Certificate } from 'node:crypto';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { describe, expect, test } from 'vitest';
import { http1Client, review } from './testing/clients.ts';
import { type Gateway, startGateway } from './testing/gateway.ts';
import { createMutualTls } from './testing/mutual-tls.ts';
import { type Scrape, scrape } from './testing/scrape.ts';
import { authenticated, startScriptedBackend } from './testing/scripted-backend.ts';
import { staticAuthenticator, tokensFile } from './testing/static-tokens.ts';
import { randomToken, secret } from './testing/tokens.ts';

/** Reloads that succeeded, reloads that failed, and whether what is on disk is in force. */
async function reloads(gateway: Gateway): Promise<readonly unknown[]> {
  const { value } = await scrape(gateway);
  const count = (result: string) => value(`sallyport_config_reloads_total{result="${result}"}`);
  return [count('success'), count('failure'), value('sallyport_config_last_reload_successful')];
}

/** Makes a change, and waits until a reload has been counted. */
async function afterReload(gateway: Gateway, change: () => Promise<void>): Promise<readonly unknown[]> {
  const before = JSON.stringify(await reloads(gateway));
  await change();
  return waitFor(async () => {
    const now = await reloads(gateway);
    return JSON.stringify(now) !== before && now;
  }, 'a reload to be counted');
}

describe.concurrent('a reload', () => {
  test('takes the series of removed authenticators away, also after a late answer, and leaves those of the others', async () => {
    const backend = await startScriptedBackend();
    backend.answerOthers({ kind: 'throw', code: 'unavailable' });
    const settings = { circuit: { minimumCalls: 2, openFor: '5m' }, cache: { store: 'memory' } };
    const entry = (name: string): object => backend.authenticator(name, settings, { recognizes: 'other-' });
    // No other authenticator is asked about its tokens.
    const late = backend.authenticator('late', {}, { recognizes: 'late-' });
    await using gateway = await startGateway({ config: { authenticators: [entry('gone'), entry('stays'), late] } });
    using client = http1Client(gateway.url);
    for (const _ of [1, 2, 3]) await review(client, secret(`other-${randomToken()}`));
    const circuit = (name: string): string => `sallyport_authenticator_circuit_state{authenticator="${name}"}`;
    const errors = (name: string): string =>
      `sallyport_authenticator_decisions_total{authenticator="${name}",decision="error"}`;
    const misses = (name: string): string =>
      `sallyport_cache_lookups_total{authenticator="${name}",result="miss",tier="memory"}`;
    const before = await scrape(gateway);
    for (const name of ['gone', 'stays']) {
      expect([circuit(name), errors(name), misses(name)].map(before.value)).toEqual([2, 3, 3]);
    }
    expect(before.value(circuit('late'))).toBe(0);
    const lateToken = secret(`late-${randomToken()}`);
    backend.answer(lateToken, { kind: 'hang' });
    const lateAnswer = review(client, lateToken);
    const call = await backend.whenAsked(lateToken);
    const authenticators = [entry('stays'), backend.authenticator('new', settings)];
    expect(await afterReload(gateway, () => gateway.configure({ authenticators }))).toEqual([1, 0, 1]);
    const expectRemoved = ({ series }: Scrape): void =>
      expect(series.filter((one) => one.includes('"gone"') || one.includes('"late"'))).toEqual([]);
    const after = await scrape(gateway);
    expectRemoved(after);
    expect([circuit('stays'), errors('stays'), misses('stays')].map(after.value)).toEqual([0, 3, 3]);
    expect([circuit('new'), errors('new'), misses('new')].map(after.value)).toEqual([0, 0, 0]);
    // A late answer of a removed authenticator brings no series back.
    call.settle(authenticated('ada'));
    expect(await lateAnswer).toMatchObject({ authenticated: true });
    const atLast = await scrape(gateway);
    expectRemoved(atLast);
    expect(atLast.value('sallyport_token_reviews_total{outcome="authenticated",version="v1"}')).toBe(1);
  });

  test('that is refused is exported, until what was refused is fixed; a refused certificate is not in force', async () => {
    const mutualTls = await createMutualTls();
    const { tls } = mutualTls;
    const good = tokensFile({ [randomToken()]: 'ci' });
    const files: Record<string, string> = { ...mutualTls.files, 'tokens.yaml': good };
    const config = { server: { tls }, authenticators: [staticAuthenticator] };
    await using gateway = await startGateway({ config, files });
    expect(await reloads(gateway)).toEqual([0, 0, 1]);
    expect(await afterReload(gateway, () => gateway.write('tokens.yaml', 'tokens: 1'))).toEqual([0, 1, 0]);
    expect(await afterReload(gateway, () => gateway.write('tokens.yaml', good))).toEqual([1, 1, 1]);
    expect(await afterReload(gateway, () => gateway.configure('authenticators: 1'))).toEqual([1, 2, 0]);
    const other = tokensFile({ [randomToken()]: 'cd' });
    expect(await afterReload(gateway, () => gateway.write('tokens.yaml', other))).toEqual([2, 2, 0]);
    expect(await afterReload(gateway, () => gateway.configure(config))).toEqual([3, 2, 1]);

    // When the certificates expire that are in force.
    const ends = async (): Promise<readonly unknown[]> => {
      const { value } = await scrape(gateway);
      const names = ['server', 'client-ca'];
      return names.map((name) => value(`sallyport_certificate_expiry_timestamp_seconds{certificate="${name}"}`));
    };
    const endOf = (pem: string | undefined): number => new X509Certificate(pem ?? '').validToDate.getTime() / 1000;
    const first = [endOf(files['tls/server.crt']), endOf(files['tls/client-ca.crt'])];
    expect(await ends()).toEqual(first);

    const pair = await mutualTls.serverAuthority.issueServer({ days: 3 });
    expect(await afterReload(gateway, () => gateway.write('tls/server.crt', pair.certificate))).toEqual([3, 3, 0]);
    expect(await ends()).toEqual(first);
    expect(await afterReload(gateway, () => gateway.write('tls/server.key', pair.key))).toEqual([4, 3, 1]);
    expect(await ends()).toEqual([endOf(pair.certificate), first[1]]);
    expect(endOf(pair.certificate)).not.toBe(first[0]);
  });
});
