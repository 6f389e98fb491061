import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { loadLogo } from './logo.ts';

const png = Buffer.concat([Buffer.from('89504e470d0a1a0a', 'hex'), Buffer.from('image')]);
const namespace = 'xmlns="http://www.w3.org/2000/svg"';
const svg = `<svg ${namespace} viewBox="0 0 1 1"><path d="M0 0h1v1z"/></svg>`;

/** Writes a logo into a folder that ends with the test. */
async function writeLogo(content: string | Buffer): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'logo-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const file = join(folder, 'logo');
  await writeFile(file, content);
  return file;
}

test.each([
  ['a PNG', png, 'image/png'],
  ['an SVG', svg, 'image/svg+xml'],
  [
    'an SVG of a drawing program',
    `\ufeff<?xml version="1.0"?>\n<!-- made by -->\n<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "svg11.dtd">\n${svg}\n<!-- end -->\n`,
    'image/svg+xml',
  ],
  [
    'an SVG with links to its own parts and images',
    `<svg ${namespace}><style>a{fill:url(#g)}</style><use href = '#a'/><image href="data:image/png;base64,AA=="/></svg>`,
    'image/svg+xml',
  ],
])('%s is a URI with the whole file', async (_, content, type) => {
  const logo = await loadLogo(await writeLogo(content));
  expect(logo.readUri()).toBe(`data:${type};base64,${Buffer.from(content).toString('base64')}`);
});

const inSvg = (part: string) => `<svg ${namespace}>${part}</svg>`;

test.each([
  ['a JPEG', Buffer.from('ffd8ffe000104a464946', 'hex'), 'is not a PNG or SVG image'],
  ['an empty file', '', 'is not a PNG or SVG image'],
  ['HTML', `<html>${svg}</html>`, 'is not a PNG or SVG image'],
  ['a script', inSvg('<script>alert(1)</script>'), 'contains a script'],
  ['a script with a prefix', inSvg('<s:SCRIPT/>'), 'contains a script'],
  ['a link to a script', inSvg('<a href="javascript:alert(1)"/>'), 'contains a script'],
  ['a handler', `<svg ${namespace} onload="alert(1)"></svg>`, 'contains an event handler'],
  ['a foreignObject', inSvg('<foreignObject/>'), 'contains a foreignObject'],
  ['an entity', `<!DOCTYPE svg [<!ENTITY s "x">]>${svg}`, 'contains an entity'],
  ['a link', inSvg('<image xlink:href="https://example.com/x"/>'), 'contains a link to another'],
  ['a link without quotes', inSvg('<image href=x />'), 'contains a link to another'],
  ['an import', inSvg('<style>@import "x"</style>'), 'contains a link to another'],
  ['a url', inSvg('<style>a{fill:url( "//example.com")}</style>'), 'contains a url() of another'],
  ['no namespace', '<svg></svg>', 'is an SVG without a namespace'],
  ['half of a file', svg.slice(0, -3), 'is an SVG without its end'],
  ['a word after comments', `${svg}${'<!-- a -->'.repeat(64)}a`, 'is an SVG without its end'],
  ['a large PNG', Buffer.concat([png, Buffer.alloc(32 * 1024)]), 'has 33 KiB, and must have at'],
])('%s is refused with its place and a fix', async (_, content, problem) => {
  const file = await writeLogo(content);
  const error = await loadLogo(file).catch((cause: unknown) => cause);
  expect(error).toMatchObject({
    problem: expect.stringContaining(`login.logo: ${file} ${problem}`),
    fix: expect.any(String),
  });
});

test('a file that is missing names the key', async () => {
  await expect(loadLogo('/nowhere/logo.svg')).rejects.toMatchObject({
    problem: expect.stringContaining("login.logo: /nowhere/logo.svg can't be read"),
    fix: expect.stringContaining('create it'),
  });
});

test('a later file that can not be used leaves the logo that was there', async () => {
  const file = await writeLogo(svg);
  const { watched, readUri } = await loadLogo(file);
  const uri = readUri();
  await writeFile(file, inSvg('<script/>'));
  await expect(watched.reload()).rejects.toThrow(`login.logo: ${file} contains a script`);
  expect(readUri()).toBe(uri);
  await writeFile(file, png);
  await watched.reload();
  expect(readUri()).toMatch(/^data:image\/png;/);
});
