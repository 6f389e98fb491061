import { expect, test } from 'vitest';
import { loginConnectionsWithin } from './limits.ts';

test.each([
  { openFiles: Number.POSITIVE_INFINITY, maxConnections: 1536, maxNewConnections: 1024 },
  { openFiles: 4096, maxConnections: 1024, maxNewConnections: 682 },
  { openFiles: 256, maxConnections: 64, maxNewConnections: 42 },
])(
  'connections take at most a quarter of $openFiles open files',
  ({ openFiles, maxConnections, maxNewConnections }) => {
    expect(loginConnectionsWithin(openFiles)).toEqual({ maxConnections, maxNewConnections });
  },
);
