/**
 * Milliseconds that a test waits for a condition before it fails. The limit is generous, since it decides nothing: most waits
 * take a second or two on an idle machine, and an alert that must last, or an installation, takes some 20 s.
 */
export const maxTestWait = 120_000;
