import { complaintsAbout, settleOptions } from '@sallyport/test-servers/written-options';
import { optionsSchema, type WebhookOptions } from '../options.ts';
import type { ReviewServer } from './server.ts';

/** The prefix of the tokens of the tests. */
export const prefix = 'tkt_';

/** The options for a server of the tests, with a timeout that no answer takes. */
export function optionsFor(
  { url, authority }: Pick<ReviewServer, 'url' | 'authority'>,
  more: object = {},
): object {
  return {
    url: `${url}/authenticate`,
    recognizes: { prefixes: [prefix] },
    timeout: '30s',
    ...(url.startsWith('https:') && { caFile: authority.certificateFile }),
    ...more,
  };
}

/** The minimal options of a config file, with more of them. */
export function writtenOptions(more: object = {}): object {
  return {
    url: 'https://webhook.example.com/authenticate',
    recognizes: { prefixes: [prefix] },
    ...more,
  };
}

export const settled = (written: object): WebhookOptions => settleOptions(optionsSchema, written);
export const complaints = (written: unknown): string[] => complaintsAbout(optionsSchema, written);
