import { z } from 'zod';
import { isMisleading } from '../logging/printable.ts';
import { LoginError } from './login-error.ts';

/** The body of `POST /v1/sessions`. */
export interface LoginRequest {
  readonly username: string;
  readonly password: string;
  readonly cluster?: string | undefined;
  readonly device?: string | undefined;
}

const requiredText = z
  .string()
  .min(1)
  .refine((text) => text.isWellFormed());

const schema: z.ZodType<LoginRequest> = z.strictObject({
  username: requiredText.max(1024),
  password: requiredText,
  cluster: z.string().min(1).max(63).optional(),
  // It is shown in lists, and is in the audit trail.
  device: z
    .string()
    .min(1)
    .max(64)
    // U+FFFD stands for text that a client could not read, and records do not take it.
    .refine((text) => !isMisleading(text) && !text.includes('\uFFFD'))
    .optional(),
});

/** @throws LoginError that names the field, and quotes nothing */
export function parseLoginRequest(body: unknown): LoginRequest {
  const { data, error } = schema.safeParse(body);
  if (data !== undefined) return data;
  const [field] = error.issues[0]?.path ?? [];
  const what =
    field === undefined ? 'the body must be an object with username and password' : `${String(field)} is wrong`;
  const known =
    'known are username, password, cluster and device (at most 64 characters), each a text that is not empty';
  throw new LoginError(400, 'bad-request', `${what}: ${known}`);
}
