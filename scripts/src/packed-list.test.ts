import { expect, test } from 'vitest';
import { writePackedList } from './packed-list.ts';

test('each package is a line with its size, below the folder', () => {
  const bytes = new Map([
    ['/p/kubectl-sallyport-0.1.0.tgz', 140_999],
    ['/p/sallyport-gateway-0.1.0.tgz', 1_426_412],
    ['/p/a.tgz', 1],
  ]);
  expect(writePackedList('/p', bytes)).toBe(
    '3 packages in /p\n' +
      '  kubectl-sallyport-0.1.0.tgz   138 KiB\n' +
      '  sallyport-gateway-0.1.0.tgz  1393 KiB\n' +
      '  a.tgz                           1 KiB\n',
  );
});
