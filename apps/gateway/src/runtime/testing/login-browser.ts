import { beginLogin } from '../../login/browser/begin-login.ts';
import { PageError } from '../../login/browser/page-error.ts';
import { addPages } from '../../login/browser/page-routes.ts';
import { redeemCode } from '../../login/browser/redeem-code.ts';
import type { LoginRequest } from '../../login/login-request.ts';
import { randomText, secretDigest } from '../../login/secret-text.ts';
import { password } from './login-backends.ts';
import type { LoginPlace } from './login-place.ts';
import { publicUrl } from './login-world.ts';

interface PageAnswer {
  readonly html: string;
  /** Where the browser is sent. '': nowhere. */
  readonly location: string;
}

/** Opens a browser and begins a login in it, as `kubectl sallyport` does. Each step throws PageError or LoginError if it is refused. */
export async function openBrowser(place: LoginPlace) {
  const handlers = new Map<string, (request: LoginRequest) => Promise<void>>();
  addPages((method, path, _action, handle) => handlers.set(`${method} ${path}`, handle));
  const cookies = new Map<string, string>();
  const verifier = randomText(43);
  let [attempt, invitation] = ['', ''];

  async function send(
    route: string,
    { form, query = '' }: { readonly form?: object; readonly query?: string } = {},
  ): Promise<PageAnswer> {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const context = {
      params: { attempt, invitation, provider: 'okta' },
      querystring: query,
      req: { headers: { cookie } },
      res: { destroyed: false },
      status: 200,
      body: '',
      location: '',
      set(name: string | object, value?: string | readonly string[]) {
        if (name === 'Location') context.location = String(value);
        if (name !== 'Set-Cookie' || !Array.isArray(value)) return;
        const [, cookieName = '', state = ''] = /^([^=]+)=([^;]*)/.exec(String(value[0])) ?? [];
        cookies.set(cookieName, state);
      },
    };
    await handlers.get(route)?.(place.request(context, form));
    if (context.status >= 400) throw new PageError('forbidden', context.status);
    attempt = /^\/login\/([\w-]{60,}(\.\w+)?)/.exec(context.location)?.[1] ?? attempt;
    return { html: context.body, location: context.location };
  }

  /** Sends the form of a page. */
  async function submit(page: string, action: string, fields: (html: string) => object) {
    const { html } = await send(`get ${page}`);
    const [, form = ''] = /name="form" value="([\w-]+)"/.exec(html) ?? [];
    return send(`post ${action}`, { form: { form, ...fields(html) } });
  }

  const loginContext = { body: { id: '', url: '' } };
  await beginLogin(place.request(loginContext), { challenge: secretDigest(verifier) });
  attempt = loginContext.body.url.slice(`${publicUrl}/login/`.length);
  return {
    send,
    submit,
    /** Opens the link to change factors. */
    async openFactors(code: string): Promise<void> {
      invitation = code;
      await send('get /login/factors/:invitation');
    },
    sendPassword: () =>
      submit('/login/:attempt', '/login/:attempt/password', () => ({ username: 'jane', password })),
    /** Goes to the provider. @returns the answer that the browser is to bring */
    async goToProvider(): Promise<string> {
      await send('get /login/:attempt');
      await send('get /login/:attempt/provider/:provider');
      const [cookie = ''] = cookies.keys();
      return new URLSearchParams({ state: `${cookie.split('-').at(-1)}.state` }).toString();
    },
    bringAnswer: (query: string) => send('get /login/callback/:provider', { query }),
    sendCode: (code: string) =>
      submit('/login/:attempt/factor', '/login/:attempt/factor', () => ({ code })),
    sendPasskey: (answer: (options: { readonly challenge: string }) => string) =>
      submit('/login/:attempt/factor', '/login/:attempt/passkey', (html) => ({
        response: answer(readOptions(html)),
      })),
    /** Confirms the login. @returns the code for the client */
    async confirm(): Promise<string> {
      const { html } = await submit('/login/:attempt/confirm', '/login/:attempt/confirm', () => ({
        answer: 'code',
      }));
      return findText(html, /<input id="code" value="([\dA-Z-]{19})"/);
    },
    async redeem(code: string): Promise<void> {
      await redeemCode(place.request({}), { id: loginContext.body.id, code, verifier });
    },
  };
}

/** Reads the options for a passkey of a page. */
export function readOptions(html: string): { readonly challenge: string } {
  const options = findText(html, /data-options="([^"]+)"/);
  return JSON.parse(options.replaceAll('&quot;', '"').replaceAll('&amp;', '&'));
}

/** @throws Error if a page does not contain a text that matches */
export function findText(html: string, pattern: RegExp): string {
  const [, text] = pattern.exec(html) ?? [];
  if (text === undefined) throw new Error(`the page does not contain ${pattern}`);
  return text;
}
