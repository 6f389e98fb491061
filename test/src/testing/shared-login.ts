import { type ForgedProvider, startForgedProvider } from '@sallyport/test-servers/forged-provider';
import { findLeaks } from '@sallyport/test-servers/leaks';
import { randomToken, secret, secretsInUse } from '@sallyport/test-servers/tokens';
import { afterAll } from 'vitest';
import { clusters, type LoginPlace, publicHost, startLogin } from './login-gateway.ts';
import { clientId, withProviders } from './provider-login.ts';

/** A login place whose two gateways have all ways to log in, and limits that no test reaches. */
export interface SharedLogin extends LoginPlace {
  /** The providers of the same names. Each file forges its own answers. */
  readonly providers: Readonly<Record<'one' | 'two', ForgedProvider>>;
}

async function start(): Promise<SharedLogin> {
  const [one, two] = await Promise.all([startForgedProvider(), startForgedProvider()]);
  const issuer = {
    url: one.url,
    audiences: [clientId, 'kubernetes'],
    certificateAuthorityFile: one.caFile,
  };
  const { login, ...setup } = withProviders({
    one: { server: one, clientSecret: randomToken(), issuer: { issuer } },
    two: { server: two },
  });
  // It is longer than any wait: no answer about a session is asked for again because of its age.
  const revalidate = '10m';
  const place = await startLogin({
    ...setup,
    count: 2,
    login: {
      ...login,
      revalidate,
      limits: { perAddress: '100000/s', inFlight: 500 },
      trustedProxies: ['127.0.0.9'],
      clusters: {
        ...clusters,
        // `check` warns of it.
        sibling: { audience: 'https://sibling.example.com', server: `https://${publicHost}:6443` },
      },
    },
    secondFactor: { required: 'none' },
    more: { audit: { output: 'audit.log' } },
  });
  return { ...place, providers: { one, two } };
}

let shared: Promise<{ readonly place: SharedLogin; readonly secrets: readonly string[] }>;

async function startWithSecrets(): typeof shared {
  const before = new Set(secretsInUse());
  const place = await start();
  return { place, secrets: secretsInUse().filter((value) => !before.has(value)) };
}

/**
 * Returns the login place of this process, which starts with the first file that calls this, and ends with the process. It is for files
 * that change nothing but what belongs to their own users. Their names must differ in all of these files.
 * At the top of a file: `const place = await shareLogin()`.
 */
export async function shareLogin(): Promise<SharedLogin> {
  shared ??= startWithSecrets();
  const { place, secrets } = await shared;
  for (const value of secrets) secret(value);
  const outputs = place.replicas.gateways.map(({ output }) => output);
  const lengths = outputs.map((output) => output.text().length);
  afterAll(() => {
    const written = outputs.map((output, at) => output.text().slice(lengths[at]));
    const leaks = findLeaks(written.join('\n'), secretsInUse());
    if (leaks.length > 0) throw new Error(`the gateways printed secrets: ${leaks.join('; ')}`);
  });
  return place;
}
