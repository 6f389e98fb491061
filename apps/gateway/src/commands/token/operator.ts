import { userInfo } from 'node:os';

/** Who runs the command, for the record: the person behind sudo rather than root. Never empty. */
export function operatorName(environment: Readonly<Record<string, string | undefined>> = process.env): string {
  return environment.SUDO_USER || accountName() || `uid ${process.getuid?.() ?? 'unknown'}`;
}

/** In a container, an account may have a number only: then it throws. */
function accountName(): string {
  try {
    return userInfo().username;
  } catch {
    return '';
  }
}
