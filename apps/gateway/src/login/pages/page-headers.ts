import { scriptSource } from './script.ts';
import { styleSource } from './style.ts';

/**
 * Makes the headers of a page.
 *
 * @param listener the port of the client on 127.0.0.1. Browsers also check the redirect after a form against
 * `form-action`, and block it without a word to the person.
 * @param hasScript whether the page has a passkey or a confirmation, which need the script
 */
export function pageHeaders({
  publicUrl,
  listener,
  hasScript = false,
}: {
  readonly publicUrl: string;
  readonly listener: number | undefined;
  readonly hasScript?: boolean;
}): Record<string, string> {
  const client = listener === undefined ? '' : ` http://127.0.0.1:${listener}`;
  const script = hasScript ? `script-src ${scriptSource}; ` : '';
  return {
    'Cache-Control': 'no-store',
    'Content-Security-Policy':
      `default-src 'none'; style-src ${styleSource}; ${script}form-action 'self'${client}; ` +
      "frame-ancestors 'none'; base-uri 'none'",
    // With no-referrer, browsers send "Origin: null" with a form.
    'Referrer-Policy': 'same-origin',
    'X-Content-Type-Options': 'nosniff',
    'X-Frame-Options': 'DENY',
    'Cross-Origin-Opener-Policy': 'same-origin',
    'Cross-Origin-Resource-Policy': 'same-origin',
    ...(publicUrl.startsWith('https:') && { 'Strict-Transport-Security': 'max-age=31536000' }),
  };
}
