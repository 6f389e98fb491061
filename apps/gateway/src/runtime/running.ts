import type { GatewayConfig } from '../config/types.ts';
import type { Generation } from './generation.ts';

/** What is in force now. A reload replaces the generation as a whole. */
export type Running = ReturnType<typeof createRunning>;

/** Holds what is in force. What is made before the first generation can read it already. @param first the config of the start */
export function createRunning(first: GatewayConfig) {
  let generation: Generation | undefined;
  let listeningLogin = first.login;
  return {
    get config(): GatewayConfig {
      return generation?.config ?? first;
    },
    get links(): Generation['links'] {
      return generation?.links ?? [];
    },
    /** The Redis that all replicas share. */
    get redis(): Generation['redis'] {
      return generation?.redis;
    },
    /** What the login server listens with, even while the config has none. Undefined: there was no login server at the start. */
    get listeningLogin(): GatewayConfig['login'] {
      return listeningLogin;
    },
    get generation(): Generation {
      if (generation === undefined) throw new Error('no generation is in force yet');
      return generation;
    },
    set generation(next: Generation) {
      generation = next;
      if (listeningLogin !== undefined) listeningLogin = next.config.login ?? listeningLogin;
    },
  };
}
