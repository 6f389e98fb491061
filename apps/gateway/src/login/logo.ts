import { loadWatchedFile } from '../config/files/watcher.ts';
import { FixableError, nameSetting, reworded } from '../config/problems.ts';
import { mebibyte } from '../config/read-text.ts';

const maxKibibytes = 32;

const pngStart = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');

/** What may be before the root of an SVG. */
const beforeRoot = /^\uFEFF?(?:\s|<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^>[]*>)*/s;

const namespace = /\sxmlns\s*=\s*["']http:\/\/www\.w3\.org\/2000\/svg["']/;

/** What an SVG must not contain. A browser runs and loads nothing that is in an image: this is the second lock. */
const refusedParts: readonly (readonly [name: string, pattern: RegExp])[] = [
  ['a script', /<([\w.-]+:)?script\b|\bjavascript:/i],
  ['an event handler, such as onload', /\son\w+\s*=/i],
  ['a foreignObject', /<([\w.-]+:)?foreignObject\b/i],
  ['an entity, in which a script could hide', /<!ENTITY\b/i],
  ['a link to another file', /\bhref\s*=(?!\s*["']?\s*(#|data:image\/))|@import\b/i],
  ['a url() of another file', /\burl\((?!\s*["']?\s*(#|data:))/i],
];

/**
 * Reads the file of `login.logo`. A later content that can't be used leaves the logo that was there.
 *
 * @param file an absolute path
 * @returns the file to watch, and a function that returns its `data:` URI
 * @throws FixableError
 */
export async function loadLogo(file: string) {
  let uri = '';
  const load = (content: Buffer) => {
    try {
      uri = toDataUri(content);
    } catch (error) {
      throw reworded(error, (message) => `${file} ${message}`);
    }
  };
  const rethrow = (error: unknown): never => {
    throw nameSetting(error, ['login', 'logo']);
  };
  const watched = await loadWatchedFile(file, load, mebibyte).catch(rethrow);
  const reload = () => watched.reload().catch(rethrow);
  return { watched: { file, reload }, readUri: () => uri };
}

/** @throws FixableError for what is not a small PNG or a small SVG without scripts and links. Its message follows the file's name */
function toDataUri(content: Buffer): string {
  // Each page contains it.
  if (content.length > maxKibibytes * 1024)
    throw new FixableError(
      `has ${Math.ceil(content.length / 1024)} KiB, and must have at most ${maxKibibytes} KiB`,
      'save it as a simple SVG, or as a PNG of 96 pixels in height',
    );
  const isPng = content.subarray(0, pngStart.length).equals(pngStart);
  if (!isPng) requireSvg(content.toString());
  return `data:image/${isPng ? 'png' : 'svg+xml'};base64,${content.toString('base64')}`;
}

function requireSvg(text: string): void {
  const svg = text.replace(beforeRoot, '');
  const [root] = /^<svg(\s[^>]*)?>/.exec(svg) ?? [];
  if (root === undefined && !/<!ENTITY\b/i.test(text))
    throw new FixableError('is not a PNG or SVG image', 'save the logo as PNG or SVG');
  const [refusedPart] = refusedParts.find(([, pattern]) => pattern.test(text)) ?? [];
  if (refusedPart !== undefined)
    throw new FixableError(`contains ${refusedPart}`, 'save it as a plain SVG, or as PNG');
  const isWhole = /<\/svg>\s*(<!--((?!-->).)*-->\s*)*$/s.test(svg);
  // A browser shows no image without the namespace.
  if (!isWhole || !namespace.test(root ?? ''))
    throw new FixableError(
      isWhole ? 'is an SVG without a namespace' : 'is an SVG without its end',
      isWhole ? 'add xmlns="http://www.w3.org/2000/svg" to its svg element' : 'save it again',
    );
}
