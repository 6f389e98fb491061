import { generateKeyPairSync, randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import Provider, {
  type Adapter,
  type AdapterPayload,
  type ClientMetadata,
  type Configuration,
  type InteractionResults,
} from 'oidc-provider';
import { type HttpsServer, startHttpsServer } from './https-server.ts';
import { extend } from './tcp-server.ts';
import { type Visitor, visitor } from './visitor.ts';

/** A person with an account at the provider. */
export interface OpenIdAccount {
  readonly sub: string;
  /** What they type into the fields `login` and `password` of its page. */
  readonly login: string;
  readonly password: string;
  /** `email` and `email_verified` need the scope `email`, `name` needs `profile`, and `groups` needs `groups`. */
  readonly claims?: Readonly<Record<string, unknown>>;
  /** How they log in, for the ID token. */
  readonly acr?: string;
  readonly amr?: readonly string[];
}

export interface OpenIdProviderOptions {
  /** Without a secret: `token_endpoint_auth_method: 'none'`. */
  readonly clients: readonly ClientMetadata[];
  /** They are read at each login, so that a test may change the list. */
  readonly accounts: readonly OpenIdAccount[];
  /** The algorithm of its ID tokens. Default: ES256. */
  readonly alg?: 'ES256' | 'RS256' | 'PS256' | 'EdDSA';
  /** Whether a second page asks the person to allow the client. Default: false. */
  readonly asksForConsent?: boolean;
}

/** An OpenID provider, `oidc-provider` of npm: code flow with PKCE, and claims in the ID token. Its issuer is its URL. */
export interface OpenIdProvider extends HttpsServer {
  /**
   * Goes through its pages as a person does, without a browser.
   *
   * @param url the authorization request. @param account undefined: the person cancels
   * @returns the URL of the client to which the browser is sent
   */
  logIn(url: string, account: Pick<OpenIdAccount, 'login' | 'password'> | undefined): Promise<URL>;
}

export async function startOpenIdProvider(options: OpenIdProviderOptions): Promise<OpenIdProvider> {
  const server = await startHttpsServer((url) => {
    const provider = new Provider(url, configurationOf(options, new URL(url).port));
    const handle = provider.callback();
    return (request, answer) => {
      const isOwn = request.url?.startsWith(interactionPath);
      if (isOwn) void interact(provider, options, request, answer);
      else void handle(request, answer);
    };
  });
  return extend(server, {
    logIn: (url: string, account?: Pick<OpenIdAccount, 'login' | 'password'>) =>
      passPages(visitor(server), url, account),
  });
}

const interactionPath = '/interaction/';

/** @param port is in the names of its cookies, since all ports of an address share them */
function configurationOf(
  { clients, accounts, alg = 'ES256', asksForConsent = false }: OpenIdProviderOptions,
  port: string,
): Configuration {
  return {
    adapter: memoryAdapter(),
    clients: [...clients],
    clientDefaults: { id_token_signed_response_alg: alg },
    jwks: { keys: [{ ...newKey(alg), kid: 'one', alg, use: 'sig' }] },
    cookies: {
      keys: [randomBytes(32).toString('hex')],
      names: {
        session: `session-${port}`,
        interaction: `interaction-${port}`,
        resume: `resume-${port}`,
      },
    },
    pkce: { required: () => true },
    conformIdTokenClaims: false,
    scopes: ['openid', 'email', 'profile', 'groups'],
    claims: {
      openid: ['sub', 'acr', 'amr', 'auth_time'],
      email: ['email', 'email_verified'],
      profile: ['name'],
      groups: ['groups'],
    },
    findAccount(_context, sub) {
      const account = accounts.find((one) => one.sub === sub);
      return account && { accountId: sub, claims: () => ({ ...account.claims, sub }) };
    },
    ...(!asksForConsent && { loadExistingGrant: grantAll }),
    features: { devInteractions: { enabled: false } },
    interactions: { url: (_context, { uid }) => `${interactionPath}${uid}` },
    // The library reports each function and lifetime that it has to choose itself.
    renderError(context, { error }) {
      context.type = 'text';
      context.body = error;
    },
    ttl: {
      AccessToken: 60,
      AuthorizationCode: 60,
      IdToken: 3_600,
      Interaction: 600,
      Session: 3_600,
      Grant: 3_600,
    },
  };
}

const grantAll: Configuration['loadExistingGrant'] = async ({ oidc }) => {
  const { provider, session, client, params } = oidc;
  const grant = new provider.Grant({
    accountId: session?.accountId,
    clientId: client?.clientId,
  });
  grant.addOIDCScope(String(params?.scope));
  await grant.save();
  return grant;
};

function newKey(alg: NonNullable<OpenIdProviderOptions['alg']>) {
  const keys = {
    ES256: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
    EdDSA: () => generateKeyPairSync('ed25519'),
    RS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
    PS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
  }[alg]();
  return keys.privateKey.export({ format: 'jwk' });
}

/** Stores in memory, as the library's own adapter does, which warns that it forgets. */
function memoryAdapter(): (model: string) => Adapter {
  const stores = new Map<string, Map<string, AdapterPayload>>();
  return (model) => {
    const store = stores.get(model) ?? new Map<string, AdapterPayload>();
    stores.set(model, store);
    return {
      upsert: async (id, payload) => void store.set(id, payload),
      find: async (id) => store.get(id),
      findByUid: async (uid) => [...store.values()].find((one) => one.uid === uid),
      findByUserCode: async () => undefined,
      async consume(id) {
        const payload = store.get(id);
        if (payload) payload.consumed = Math.floor(Date.now() / 1000);
      },
      destroy: async (id) => void store.delete(id),
      async revokeByGrantId(grantId) {
        for (const [id, payload] of store) if (payload.grantId === grantId) store.delete(id);
      },
    };
  };
}

/** Shows the page of a login or of a consent, and takes its form. */
async function interact(
  provider: Provider,
  { accounts }: OpenIdProviderOptions,
  request: IncomingMessage,
  answer: ServerResponse,
): Promise<void> {
  const show = (status: number, body: string) =>
    answer
      .writeHead(status, {
        'content-type': 'text/html; charset=utf-8',
        'cache-control': 'no-store',
      })
      .end(
        `<!doctype html><html lang="en"><title>Provider</title><link rel="icon" href="data:,">${body}</html>`,
      );
  const details = await provider.interactionDetails(request, answer).catch(() => undefined);
  if (details === undefined) return void show(400, 'unknown login');
  const { prompt, params, session } = details;
  const isLogin = prompt.name === 'login';
  const page = isLogin ? loginForm(String(params.login_hint ?? '')) : consentForm;
  if (request.method !== 'POST') return void show(200, page);
  const form = new URLSearchParams(await text(request));
  const finish = (result: InteractionResults) =>
    provider.interactionFinished(request, answer, result, { mergeWithLastSubmission: !isLogin });
  if (form.get('answer') !== 'yes')
    return finish({ error: 'access_denied', error_description: 'the person cancelled' });
  if (isLogin) {
    const account = accounts.find(
      ({ login, password }) => login === form.get('login') && password === form.get('password'),
    );
    if (account === undefined) return void show(401, page);
    const { sub, acr, amr } = account;
    return finish({
      login: { accountId: sub, ...(acr && { acr }), ...(amr && { amr: [...amr] }) },
    });
  }
  const grant = new provider.Grant({
    accountId: session?.accountId,
    clientId: String(params.client_id),
  });
  grant.addOIDCScope(String(params.scope));
  return finish({ consent: { grantId: await grant.save() } });
}

const cancel = '<button name="answer" value="no">Cancel</button>';

const consentForm = `<form method="post"><button name="answer" value="yes">Allow</button>${cancel}</form>`;

function loginForm(hint: string): string {
  const value = hint.replaceAll('&', '&amp;').replaceAll('"', '&quot;');
  return `<form method="post"><label>Login <input name="login" value="${value}"></label>
<label>Password <input name="password" type="password"></label>
<button name="answer" value="yes">Log in</button>${cancel}</form>`;
}

async function passPages(
  { visit, origin }: Visitor,
  url: string,
  account: Pick<OpenIdAccount, 'login' | 'password'> | undefined,
): Promise<URL> {
  let at = await visit(url);
  // A login page, and perhaps one of consent.
  while (at.url.origin === origin) {
    if (at.status !== 200) throw new Error(`${at.url.pathname} answers ${at.status}: ${at.body}`);
    const form = account === undefined ? { answer: 'no' } : { ...account, answer: 'yes' };
    at = await visit(at.url.href, new URLSearchParams(form));
  }
  return at.url;
}
