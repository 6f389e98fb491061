import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { askLogin, clusters, publicHost } from '../testing/ask-login.ts';
import { gatewayFolder } from '../testing/command.ts';
import { writeFactor } from '../testing/factor-records.ts';
import { reviewBody } from '../testing/token-review.ts';
import { directoryAccess } from './backends.ts';
import { type GatewayCase, type Place, tokenCount } from './contender.ts';
import { startBenchGateway } from './gateway.ts';

/** Sessions of people who have logged in, without a second factor or with one that all must have. */
export async function sessionCase(
  place: Place,
  factor: 'without factor' | 'with factor',
): Promise<GatewayCase> {
  const facts = await place.backends.directory();
  const redis = await place.backends.redis();
  const { options, files } = directoryAccess(facts);
  const [key, name] = [randomBytes(32).toString('base64'), factor.replace(' ', '-')];
  const keyPrefix = `${name}:`;
  const { url } = redis;
  const sealingKeys = [{ file: 'secrets/sealing-key' }];
  const hasFactor = factor === 'with factor';
  const config = {
    cache: { redis: { url, keyPrefix, sealingKeys, startWithoutBlocks: true } },
    authenticators: [
      { name: 'sessions', use: 'redis', options: { url, keyPrefix: `${name}-sessions:` } },
      { name: 'corp', use: 'ldap', options },
    ],
    login: {
      listen: '127.0.0.1:0',
      publicUrl: `https://${publicHost}`,
      authenticators: ['corp'],
      sessions: 'sessions',
      clusters: { prod: clusters.prod },
      ...(hasFactor && { secondFactor: { required: 'all', redis: { url } } }),
    },
  };
  const all = { ...files, 'secrets/sealing-key': key };
  // The gateways that are measured know these sessions by Redis alone.
  await using first = await startBenchGateway({
    entry: join(gatewayFolder, 'src/sallyport.js'),
    tls: place.tls,
    config,
    files: all,
  });
  const questions: { readonly body: string; readonly username: string }[] = [];
  for (const person of facts.people.slice(0, tokenCount)) {
    const { name: username, password } = person;
    const code = hasFactor
      ? { code: (await writeFactor(redis, key, person)).recoveryCodes[0] }
      : {};
    const answer = await askLogin(first.loginUrl, { body: { username, password, ...code } });
    if (answer.status !== 201) throw new Error(`a login was answered ${answer.text}`);
    questions.push({
      body: reviewBody(String(answer.json?.token), 'v1', [clusters.prod.audience]),
      username,
    });
  }
  return { config, files: all, questions };
}
