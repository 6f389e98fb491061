import type { RouterContext } from '@koa/router';
import { StatusError } from './status.ts';

/** Stands after a router: the request went by it, for its path or for its method. */
export function refuseUnmatched(allow: string): (context: RouterContext) => void {
  return (context) => {
    if (context.matched === undefined || context.matched.length === 0) throw new StatusError(404, 'not found');
    context.set('Allow', allow);
    throw new StatusError(405, `the method must be ${allow}`);
  };
}
