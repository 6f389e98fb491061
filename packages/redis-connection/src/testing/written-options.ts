import { duration, section } from '@sallyport/plugin-kit';
import { complaintsAbout, settleOptions } from '@sallyport/test-servers/written-options';
import type { z } from 'zod';
import type { ConnectionOptions } from '../connection-options.ts';
import { connectionShape, settleConnection } from '../options/index.ts';

const terms = {
  risk: 'anyone on the network can read along',
  consent: 'anyone on the network may say who is who',
};

const commandTimeout = duration('Time limit for each command and for a connection.', {
  min: '50ms',
  max: '30s',
}).prefault('1s');

/** The options of a user of this package. */
const optionsSchema: z.ZodType<ConnectionOptions> = section(
  { ...connectionShape(terms), commandTimeout },
  '{ url: rediss://redis.example.com:6379 }',
  (keys, complain) =>
    settleConnection(keys, { commandTimeout: keys.commandTimeout, terms }, complain),
);

export const settled = (written: object): ConnectionOptions =>
  settleOptions(optionsSchema, written);
export const complaints = (written: unknown): string[] => complaintsAbout(optionsSchema, written);
