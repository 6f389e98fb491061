import {
  constants,
  createHash,
  createPublicKey,
  type JsonWebKeyInput,
  randomBytes,
  verify,
} from 'node:crypto';
import type { HttpsServer } from '../https-server.ts';
import { visitor } from '../visitor.ts';

export const redirectUri = 'http://127.0.0.1:1/callback';

/** An authorization request with PKCE (RFC 7636), and the exchange of its code. */
export interface CodeFlow {
  readonly state: string;
  readonly nonce: string;
  readonly url: string;
  /** Exchanges the code of the answer. @param more replaces parameters of the form */
  exchange(
    answer: URL,
    more?: Readonly<Record<string, string>>,
  ): Promise<{ readonly status: number; readonly body: Readonly<Record<string, string>> }>;
}

type Provider = Pick<HttpsServer, 'url' | 'ca'>;

/** Reads the discovery document. */
export async function discover(provider: Provider): Promise<Record<string, string & string[]>> {
  const at = `${provider.url}/.well-known/openid-configuration`;
  return JSON.parse((await visitor(provider).visit(at)).body);
}

/** @param more replaces parameters of the authorization request */
export async function beginFlow(
  provider: Provider,
  clientId: string,
  more: Readonly<Record<string, string>> = {},
): Promise<CodeFlow> {
  const { authorization_endpoint: at, token_endpoint: tokenEndpoint = '' } =
    await discover(provider);
  const [state, nonce, verifier] = [newText(), newText(), newText()];
  const asked = {
    response_type: 'code',
    client_id: clientId,
    redirect_uri: redirectUri,
    scope: 'openid',
    state,
    nonce,
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
    ...more,
  };
  return {
    state,
    nonce,
    url: `${at}?${new URLSearchParams(asked)}`,
    async exchange(answer, replaced = {}) {
      const form = {
        grant_type: 'authorization_code',
        client_id: clientId,
        redirect_uri: redirectUri,
        code: answer.searchParams.get('code') ?? '',
        code_verifier: verifier,
        ...replaced,
      };
      const { status, body } = await visitor(provider).visit(
        tokenEndpoint,
        new URLSearchParams(form),
      );
      return { status, body: JSON.parse(body) };
    },
  };
}

const newText = () => randomBytes(32).toString('base64url');

interface Jwt {
  readonly header: Readonly<Record<string, unknown>>;
  readonly claims: Readonly<Record<string, unknown>>;
  /** Whether a key that the provider publishes has signed it. */
  readonly isSigned: boolean;
}

/** Reads a JWT, and checks its signature with the keys that the provider publishes. */
export async function readJwt(provider: Provider, token = ''): Promise<Jwt> {
  const { jwks_uri: at = '' } = await discover(provider);
  const { keys } = JSON.parse((await visitor(provider).visit(at)).body) as {
    keys: readonly JsonWebKeyInput['key'][];
  };
  const [head = '', body = '', signature = ''] = token.split('.');
  const [header, claims] = [head, body].map((part) =>
    JSON.parse(Buffer.from(part, 'base64url').toString()),
  );
  const isPss = header.alg === 'PS256';
  const isSigned = keys.some((jwk) =>
    verify(
      header.alg === 'EdDSA' ? null : 'sha256',
      Buffer.from(`${head}.${body}`),
      {
        key: createPublicKey({ key: jwk, format: 'jwk' }),
        dsaEncoding: 'ieee-p1363',
        ...(isPss && { padding: constants.RSA_PKCS1_PSS_PADDING }),
      },
      Buffer.from(signature, 'base64url'),
    ),
  );
  return { header, claims, isSigned };
}
