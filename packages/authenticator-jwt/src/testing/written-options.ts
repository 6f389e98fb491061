import { complaintsAbout, settleOptions } from '@sallyport/test-servers/written-options';
import { type JwtOptions, optionsSchema } from '../options.ts';

/** Writes the options for tokens of a provider of the tests. */
export function optionsFor(
  { url, caFile }: { readonly url: string; readonly caFile: string },
  more: object = {},
): object {
  return {
    issuers: [
      {
        issuer: { url, audiences: ['kubernetes'], certificateAuthorityFile: caFile },
        claimMappings: {
          username: { claim: 'sub' },
          uid: { claim: 'sub' },
          groups: { claim: 'groups' },
          extra: [{ key: 'example.com/team', claim: 'team' }],
        },
        jwks: { cooldown: '1s', timeout: '30s' },
        ...more,
      },
    ],
  };
}

/** Writes the fewest options that a config file needs, with `changed` ones of its only issuer. */
export function writtenOptions(changed: object = {}): { readonly issuers: readonly object[] } {
  const issuer = { url: 'https://idp.example.com', audiences: ['kubernetes'] };
  return { issuers: [{ issuer, claimMappings: { username: { claim: 'sub' } }, ...changed }] };
}

export const settled = (written: object): JwtOptions => settleOptions(optionsSchema, written);
export const complaints = (written: unknown): string[] => complaintsAbout(optionsSchema, written);
