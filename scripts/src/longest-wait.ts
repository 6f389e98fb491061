/**
 * Milliseconds that a test waits for a condition before it fails: generous, since it decides nothing. What a test
 * waits for takes a second or two on an idle machine; an alert that must last, or an installation, takes some 20 s.
 */
export const longestWait = 120_000;
