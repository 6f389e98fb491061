import { type Redis, type SentinelConnectionOptions, SentinelConnector } from 'ioredis';

// What ioredis 6.0.0 keeps to itself and must be put right. The version is pinned, and a test holds that it is there.

interface SentinelConnections {
  connectToSentinel(endpoint: unknown, options?: object): Redis;
}

/**
 * Asks sentinels for the master. ioredis gives the connections on which it hears of failovers no listener for errors,
 * and so prints a stack to stderr each time that a sentinel is down. Nor does it pass on that CLIENT is not to be used.
 */
export class QuietSentinelConnector extends SentinelConnector {
  constructor(options: unknown) {
    super(options as SentinelConnectionOptions);
  }

  static {
    const own = QuietSentinelConnector.prototype as unknown as SentinelConnections;
    const inherited = SentinelConnector.prototype as unknown as SentinelConnections;
    own.connectToSentinel = function (endpoint, options) {
      const sentinel = inherited.connectToSentinel.call(this, endpoint, { ...options, disableClientInfo: true });
      sentinel.on('error', () => {
        // Who resolves the master sees it; of those that only listen for failovers, the others go on.
      });
      return sentinel;
    };
  }
}
