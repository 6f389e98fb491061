import { isIPv6 } from 'node:net';
import { join } from 'node:path';
import { isScalar, LineCounter, parseDocument } from 'yaml';
import { printable } from '../../base/logging/printable.ts';
import { mebibyte, readText } from '../../config/read-text.ts';
import { names } from './layout.ts';

/** Describes what must follow the new name of the login server. It is empty if the config has that name, or none. */
export async function describeNewName(folder: string, host: string): Promise<string> {
  const file = join(folder, names.config);
  const lines = new LineCounter();
  const text = await readText(file, mebibyte).catch(() => '');
  const node = parseDocument(text, { lineCounter: lines }).getIn(['login', 'publicUrl'], true);
  if (!isScalar(node) || node.range == null) return '';
  const oldUrl = URL.parse(String(node.value));
  const newUrl = URL.parse(String(node.value));
  if (oldUrl === null || newUrl === null) return '';
  newUrl.hostname = isIPv6(host) ? `[${host}]` : host;
  if (newUrl.origin === oldUrl.origin) return '';
  const { line } = lines.linePos(node.range[0]);
  return `
login.publicUrl is still ${oldUrl.origin}. In ${printable(file)}, line ${line}, write:

  publicUrl: ${newUrl.origin}

Running gateways load it within some seconds. Change the redirect URI at each provider of login.providers. People run
kubectl sallyport init with the new URL, and add their passkeys again, since those are for the old name.
`;
}
