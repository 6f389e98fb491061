import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { openText, type SealingKey, sealText } from '../../engine/sealing/seal.ts';
import { plainCode } from '../secret-text.ts';
import {
  type AddedFactor,
  type Enrolment,
  type FactorGrant,
  type FactorRefusal,
  factorGrant,
} from './enrolment.ts';
import { type FactorUser, factorUserSchema } from './factor-record.ts';
import { minutesOff, secretLength, secretText, stepOfCode, totpUri } from './totp.ts';

/** How long a person has to scan the QR code and to type the first code, in milliseconds. */
const lifetime = 10 * 60_000;

const enrolment = z.strictObject({
  grant: factorGrant,
  user: factorUserSchema,
  /** Base64url. */
  secret: z.string(),
  label: z.string(),
  /** When the user logged in, in milliseconds since 1970. */
  since: z.int(),
  /** The revision of the revocation list before that: a user who is revoked later adds nothing. */
  revision: z.int(),
  until: z.int(),
});

/** An app that a user has begun to add. */
export type BegunApp = Readonly<z.infer<typeof enrolment>>;

interface TotpEnrolmentOptions {
  readonly enrolment: Pick<Enrolment, 'add'>;
  /** The first key seals, all open. */
  readonly sealingKeys: readonly SealingKey[];
  /** The host name of the login server, by which an app names the factor. */
  readonly issuer: string;
  /** The wall clock, in milliseconds since 1970. */
  readonly now: () => number;
}

export type TotpEnrolment = ReturnType<typeof createTotpEnrolment>;

const sealedFor = 'factor enrolments';

/** Adds authenticator apps. Nothing is stored until the first code of an app is right: the client keeps the secret, sealed. */
export function createTotpEnrolment(options: TotpEnrolmentOptions) {
  const { sealingKeys, issuer, now } = options;
  /** Returns the secret as the app takes it. */
  const show = ({ user, secret }: Pick<BegunApp, 'user' | 'secret'>) => {
    const bytes = Buffer.from(secret, 'base64url');
    return { secret: secretText(bytes), uri: totpUri(issuer, user.username, bytes) };
  };
  const hasExpired = ({ until }: Pick<BegunApp, 'until'>): boolean => until <= now();
  return {
    show,
    /** Whether the time to type the first code is over. */
    hasExpired,
    /**
     * Begins to add an app.
     *
     * @param label the name that the user gives it
     * @returns the secret as the app takes it, and a sealed text for `finish`
     */
    begin(
      user: FactorUser,
      grant: FactorGrant,
      label: string,
      { since, revision }: Pick<BegunApp, 'since' | 'revision'>,
    ) {
      const [key] = sealingKeys;
      if (key === undefined) throw new Error('there is no key to seal an enrolment');
      const until = now() + lifetime;
      const secret = randomBytes(secretLength).toString('base64url');
      const sealed = JSON.stringify({ grant, user, secret, label, since, revision, until });
      return {
        ...show({ user, secret }),
        enrolment: sealText(key, sealedFor, '', sealed),
        until,
      };
    },
    /** Reads what `begin` sealed. @returns undefined if no gateway with these keys wrote it */
    read(text: string) {
      const plain = openText(sealingKeys, sealedFor, '', text);
      return enrolment.safeParse(plain === undefined ? undefined : JSON.parse(plain)).data;
    },
    /** Adds an app, once its first code shows that it has the secret. */
    async finish(begun: BegunApp, typedCode: string): Promise<AddedFactor | FactorRefusal> {
      if (hasExpired(begun)) return { kind: 'late' };
      const { user, grant, secret, label } = begun;
      const bytes = Buffer.from(secret, 'base64url');
      const code = plainCode(typedCode);
      const lastStep = stepOfCode(bytes, code, now());
      if (lastStep === undefined)
        return { kind: 'wrong-code', minutes: minutesOff(bytes, code, now()) };
      return options.enrolment.add(user, grant, 'totp', ({ totp }, id) => {
        if (totp.some((factor) => factor.secret === secret)) return 'duplicate';
        return { totp: [...totp, { id, name: label, addedAt: now(), secret, lastStep }] };
      });
    },
  };
}
