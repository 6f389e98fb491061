import { pino } from 'pino';
import { expect, test } from 'vitest';
import { createTroubleLog } from './trail.ts';

test('logs at most every ten seconds, and in the end the total of dropped lines', () => {
  const lines: unknown[][] = [];
  let now = 0;
  const write = (text: string) => {
    const { level, dropped, code } = JSON.parse(text);
    lines.push([level, dropped, code]);
  };
  const log = createTroubleLog(
    pino({ formatters: { level: (level) => ({ level }) } }, { write }),
    () => {},
    () => now,
  );
  log.recovered();
  log.failed(Object.assign(new Error('secret'), { code: 'ENOSPC' }));
  for (let line = 0; line < 5; line++) log.dropped();
  now = 9_999;
  log.dropped();
  expect(lines).toEqual([['warn', 0, 'ENOSPC']]);
  now = 10_000;
  log.dropped();
  log.recovered();
  log.recovered();
  log.dropped();
  now = 20_000;
  log.dropped();
  expect(lines.slice(1)).toEqual([
    ['warn', 7, 'ENOSPC'],
    ['info', 7, undefined],
    ['warn', 2, undefined],
  ]);
});
