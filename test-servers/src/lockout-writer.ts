import type { RedisServer } from './redis.ts';

/** Someone who may write to the Redis that replicas share, has no sealing key, and hears every record that there ever was. */
export function createLockoutWriter(redis: RedisServer) {
  /** The fields of each hash with their values. */
  const heard = new Map<string, Map<string, readonly [string, string]>>();
  const forgedValues = new Set<string>();

  const acts: Readonly<
    Record<string, (key: string, records: readonly (readonly [string, string])[]) => unknown>
  > = {
    remove: (key) => redis.client().del(key),
    'put back': (key, records) => redis.client().hset(key, ...records.flat()),
    /** Forges records by which each secret that was tried was refused, and was right. */
    forge: (key, records) => {
      const forged = records.flatMap(([, value]) => {
        const [, , secret, mac] = value.split(' ');
        const at = Date.now();
        const values = [`refused ${at} ${secret} ${mac}`, `right ${at} ${secret} ${mac}`] as const;
        for (const one of values) forgedValues.add(one);
        return [`try:${crypto.randomUUID()}`, values[0], `known:${secret}`, values[1]];
      });
      return redis.client().hset(key, ...forged);
    },
  };
  return {
    async hear(): Promise<void> {
      for (const key of await redis.client().keys('sallyport:lockout:*')) {
        if (key.includes('{names}')) continue;
        const records = heard.get(key) ?? new Map<string, readonly [string, string]>();
        heard.set(key, records);
        const hash = await redis.client().hgetall(key);
        for (const [field, value] of Object.entries(hash)) {
          if (!forgedValues.has(value)) records.set(`${field} ${value}`, [field, value]);
        }
      }
    },
    /** @param how one of `writerActs` */
    async write(how: string): Promise<void> {
      for (const [key, records] of heard) await acts[how]?.(key, [...records.values()]);
    },
  };
}

export const writerActs = ['remove', 'put back', 'forge'] as const;
