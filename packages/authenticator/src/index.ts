export type * from './authenticator.ts';
export * from './decision.ts';
export type * from './plugin.ts';
export type * from './token-issuer.ts';
