import type { Page } from 'playwright-core';
import { expect } from 'vitest';
import {
  keepInDocs,
  overhang,
  paleWords,
  setTextSize,
  smallTargets,
  type WatchedPage,
} from './browser.ts';

/** A person at a browser. */
export interface PageVisit {
  readonly page: Page;
  readonly watched: WatchedPage;
  readonly login: { readonly url: string };
}

export interface Looks {
  /** The name of a picture in the docs, and of a picture on a phone. */
  readonly pictures?: { readonly laptop?: string; readonly phone?: string };
  /** The statuses of answers that the console of the browser has reported so far. */
  readonly statuses?: readonly number[];
}

/** What is around each page, for a screen reader. */
export const frame: readonly string[] = ['banner: Sallyport', 'main'];

const status = (code: number) =>
  `Failed to load resource: the server responded with a status of ${code} ()`;

/** Lists the fields whose end is hidden, since their value is wider. */
const cutFields = (page: Page): Promise<string[]> =>
  page
    .locator('input:not([type=hidden])')
    .evaluateAll((fields) =>
      fields
        .filter(({ scrollWidth, clientWidth }) => scrollWidth > clientWidth)
        .map(({ id }) => id),
    );

/** Checks a page on a phone and a laptop, in both color schemes, and with large text. */
export async function expectGoodLooks(
  { page, watched, login: { url } }: PageVisit,
  { pictures = {}, statuses = [] }: Looks,
): Promise<void> {
  for (const [device, width] of [
    ['phone', 320],
    ['laptop', 1280],
  ] as const) {
    for (const colorScheme of ['dark', 'light'] as const) {
      await page.setViewportSize({ width, height: 800 });
      await page.emulateMedia({ colorScheme });
      expect([width, await overhang(page)]).toEqual([width, 0]);
      expect([colorScheme, await paleWords(page)]).toEqual([colorScheme, []]);
    }
    await keepInDocs(page, pictures[device]);
    expect([width, await smallTargets(page)]).toEqual([width, []]);
    await setTextSize(page, 200);
    expect([width, await overhang(page), await cutFields(page)]).toEqual([width, 0, []]);
    await setTextSize(page, 100);
  }
  expect(watched.complaints).toEqual(statuses.map(status));
  const origins = watched.requested.map((one) => new URL(one).origin);
  const listener = /^http:\/\/127\.0\.0\.1:\d+$/;
  expect(origins.filter((one) => one !== new URL(url).origin && !listener.test(one))).toEqual([]);
}

/** Reads how the parts that each page has look, in both color schemes. */
export async function readLooks(page: Page): Promise<readonly object[]> {
  const looks: object[] = [];
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    looks.push(
      await page.evaluate(() =>
        ['body', 'header', 'main', 'h1'].map((name) => {
          const { background, border, borderRadius, color, font, maxWidth, padding } =
            getComputedStyle(document.querySelector(name) ?? document.body);
          return { name, background, border, borderRadius, color, font, maxWidth, padding };
        }),
      ),
    );
  }
  return looks;
}

/** Says what has the focus, as a screen reader does; undefined if nothing has. */
export async function focused(page: Page): Promise<string | undefined> {
  const focus = page.locator(':focus');
  if ((await focus.count()) === 0) return undefined;
  // A person who works with the keyboard sees where they are.
  expect(await focus.evaluate((one) => getComputedStyle(one).outlineStyle)).toBe('solid');
  return (await focus.ariaSnapshot()).split('\n')[0]?.replace(/^- |:$/g, '');
}

/** Waits until the browser has given the focus to the element that asks for it, which it does after it has shown the page. */
export async function autofocused(page: Page): Promise<string | undefined> {
  await page.locator('[autofocus]:focus').waitFor();
  return await focused(page);
}

/** Presses Tab until nothing more gets the focus. */
export async function tabOrder(page: Page): Promise<(string | undefined)[]> {
  const order: (string | undefined)[] = [];
  for (;;) {
    await page.keyboard.press('Tab');
    const next = await focused(page);
    if (next === undefined || next === order[0]) return order;
    order.push(next);
  }
}
