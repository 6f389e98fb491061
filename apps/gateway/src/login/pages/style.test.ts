import { expect, test } from 'vitest';
import { render } from './html.ts';
import { style } from './style.ts';

/** Reads the colors of the light and the dark style. */
const [light, dark] = render(style)
  .split('@media (prefers-color-scheme: dark)')
  .map((part) => {
    const colors = part.matchAll(/--([\w-]+): #(\w{6});/g);
    return new Map([...colors].map(([, name = '', color = '']) => [name, color]));
  });

/** Computes the relative luminance of WCAG 2. */
function luminance(color = ''): number {
  const [red = 0, green = 0, blue = 0] = [0, 2, 4].map((start) => {
    const part = Number.parseInt(color.slice(start, start + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(one?: string, other?: string): number {
  const [darker = 0, lighter = 0] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (lighter + 0.05) / (darker + 0.05);
}

test.each([
  { front: 'ink', back: 'paper', least: 4.5 },
  { front: 'ink', back: 'warn-tint', least: 4.5 },
  { front: 'ink', back: 'bad-tint', least: 4.5 },
  { front: 'quiet', back: 'ground', least: 4.5 },
  { front: 'quiet', back: 'paper', least: 4.5 },
  { front: 'accent', back: 'paper', least: 4.5 },
  { front: 'on-accent', back: 'accent', least: 4.5 },
  { front: 'warn', back: 'warn-tint', least: 4.5 },
  { front: 'bad', back: 'bad-tint', least: 4.5 },
  { front: 'edge', back: 'paper', least: 3 },
])('$front on $back has a contrast of $least in light and dark', ({ front, back, least }) => {
  for (const colors of [light, dark]) {
    expect(contrast(colors?.get(front), colors?.get(back))).toBeGreaterThanOrEqual(least);
  }
});
