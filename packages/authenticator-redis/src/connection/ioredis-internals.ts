import { type Cluster, type Redis, type SentinelConnectionOptions, SentinelConnector } from 'ioredis';

// What ioredis 6.0.0 keeps to itself and must be put right. The version is pinned, and a test holds that both are still
// there.

interface SentinelConnections {
  connectToSentinel(endpoint: unknown, options?: unknown): Redis;
}

/**
 * Asks sentinels for the master. ioredis gives the connections on which it hears of failovers no listener for errors,
 * and so prints a stack to stderr each time that a sentinel is down.
 */
export class QuietSentinelConnector extends SentinelConnector {
  constructor(options: unknown) {
    super(options as SentinelConnectionOptions);
  }

  static {
    const own = QuietSentinelConnector.prototype as unknown as SentinelConnections;
    const inherited = SentinelConnector.prototype as unknown as SentinelConnections;
    own.connectToSentinel = function (endpoint, options) {
      const sentinel = inherited.connectToSentinel.call(this, endpoint, options);
      sentinel.on('error', () => {
        // Who resolves the master sees it; of those that only listen for failovers, the others go on.
      });
      return sentinel;
    };
  }
}

/**
 * Keeps a cluster's client from its connection for subscriptions, which nobody here uses: it asks for INFO, complains
 * on stderr when it may not, and comes back without a pause as long as its node is down.
 *
 * @param cluster before `connect()`
 */
export function withoutSubscriber(cluster: Cluster): Cluster {
  const { subscriber } = cluster as unknown as { readonly subscriber: { start(): void } };
  subscriber.start = () => {};
  return cluster;
}
