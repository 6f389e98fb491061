import { expect, test } from 'vitest';
import { logInThroughFaults, transports } from './testing/faulty-logins.ts';

const logins = 400;

/** The milliseconds for one login. Some logins meet more silent servers than this allows. */
const deadline = 300;

/** The milliseconds that an answer may come after its deadline. The test fails at five times that. */
const lateness = 50;

test.each(transports)(
  `${logins} logins over %s through a network with faults: none wrong, none late, most of them answered`,
  async (name, transport) => {
    const signal = () => AbortSignal.timeout(deadline);
    const tally = await logInThroughFaults({ transport, logins, serverTimeout: '150ms', signal });
    const { seed, right, unchecked, wrong, latest, connections, harmful } = tally;
    console.log(
      `${name}, seed ${seed}: ${right} answered, ${unchecked} could not be checked, the latest ${Math.round(latest)} ms after ` +
        `its deadline; ${connections} connections, ${harmful} of them with a fault that ends one`,
    );
    expect(wrong).toEqual([]);
    expect(right + unchecked).toBe(logins);
    // Otherwise the network was so bad that nothing was sent, or so good that nothing failed. How many of the faults reach a
    // login differs widely from seed to seed, since the other server answers in place of a bad one.
    expect(right).toBeGreaterThan(logins / 2);
    expect(harmful).toBeGreaterThan(20);
    // Without reuse a login needs two connections, and one while a fault makes binds use new ones.
    expect(connections).toBeLessThan(1.5 * logins);
    expect(latest).toBeLessThan(5 * lateness);
  },
);
