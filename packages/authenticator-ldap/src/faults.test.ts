import { expect, test } from 'vitest';
import { never } from './connection/testing/connecting.ts';
import { logInThroughFaults, transports } from './testing/faulty-logins.ts';

const logins = 100;

test.each(transports)(
  `${logins} logins over %s through a network that resets, stalls, cuts, glues and garbles: none wrong, no socket left`,
  async (_name, transport) => {
    const tally = await logInThroughFaults({
      transport,
      logins,
      serverTimeout: '1s',
      signal: () => never,
    });
    expect(tally.wrong, `seed ${tally.seed}`).toEqual([]);
    expect(tally.right + tally.unchecked).toBe(logins);
    expect(tally.harmful).toBeGreaterThan(0);
  },
);
