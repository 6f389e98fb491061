import { connectionLimits } from './limits.ts';

/** A body that is on its way. */
interface ArrivingBody {
  /** Counts bytes that have arrived. */
  add(bytes: number): void;
  /** It is there, or given up. A second call does nothing. */
  end(): void;
}

/** The bodies that are on their way, over all connections: clients that send slowly make the gateway hold them. */
export interface ArrivingBodies {
  /** @param refuse called when there are too many: it must free what is held of this body */
  begin(refuse: () => void): ArrivingBody;
}

export interface ArrivingLimits {
  readonly count: number;
  readonly bytes: number;
}

/** Over HTTP/1.1 each connection sends one body at a time. A review of kube-apiserver has some hundred bytes. */
const arrivingLimits: ArrivingLimits = { count: connectionLimits.maxConnections, bytes: 64 * 1024 * 1024 };

/**
 * Beyond the limits the oldest body is refused. A review of kube-apiserver arrives in milliseconds, so it is never the
 * oldest while another client sends slowly: no client, on however many connections, can shut others out.
 */
export function createArrivingBodies(limits: ArrivingLimits = arrivingLimits): ArrivingBodies {
  const bodies = new Map<ArrivingBody, { bytes: number; readonly refuse: () => void }>();
  let bytes = 0;
  const refuseOldest = () => {
    for (const [body, { refuse }] of bodies) {
      if (bodies.size <= limits.count && bytes <= limits.bytes) return;
      body.end();
      refuse();
    }
  };
  return {
    begin(refuse) {
      const held = { bytes: 0, refuse };
      const body: ArrivingBody = {
        add(more) {
          if (!bodies.has(body)) return;
          held.bytes += more;
          bytes += more;
          refuseOldest();
        },
        end() {
          if (bodies.delete(body)) bytes -= held.bytes;
        },
      };
      bodies.set(body, held);
      refuseOldest();
      return body;
    },
  };
}
