import type { GatewayConfig } from '../config/types.ts';
import type { Generation } from './generation.ts';

/** The generation that is in force now. A reload replaces it as a whole. */
export type RunningGeneration = ReturnType<typeof createRunningGeneration>;

/**
 * Keeps the generation that is in force. Parts that are made before the first generation get this, and read it when they are
 * called: until then it has the config of the start, and no links.
 *
 * @param firstConfig the config of the start
 */
export function createRunningGeneration(firstConfig: GatewayConfig) {
  let generation: Generation | undefined;
  let listeningLogin = firstConfig.login;
  return {
    get config(): GatewayConfig {
      return generation?.config ?? firstConfig;
    },
    get links(): Generation['links'] {
      return generation?.links ?? [];
    },
    /** The Redis that all replicas share. */
    get redis(): Generation['redis'] {
      return generation?.redis;
    },
    /**
     * The settings with which the login server listens, even if the config has none now. Undefined: there was no login server
     * at the start.
     */
    get listeningLogin(): GatewayConfig['login'] {
      return listeningLogin;
    },
    /** @throws Error before the first generation is made */
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
