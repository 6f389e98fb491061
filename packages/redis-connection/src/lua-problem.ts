import { knownMasters, type RedisClient } from './nodes.ts';

/**
 * Returns 1 if scripts can change the methods of strings, which all users share. The fix of CVE-2025-46818 made them read-only; it
 * came with the fix of CVE-2025-49844. A version says less: distributions fix older ones. The assignment changes nothing.
 */
const script = `
if pcall(function() getmetatable('').sallyport = nil end) then return 1 end
return 0`;

/** A problem of a server, and how to fix it. */
interface LuaProblem {
  readonly detail: string;
  readonly fix: string;
}

const problem: LuaProblem = {
  detail:
    'its Lua has known holes (CVE-2025-49844, CVE-2025-46818): anyone who may run scripts there, as the gateway may, can take the server over',
  fix:
    'update it to Redis 6.2.20, 7.2.11, 7.4.6, 8.0.4, 8.2.2, Valkey 7.2.11, 8.0.6, 8.1.4 or later, ' +
    'or to a package in which your distribution has fixed an older version',
};

/**
 * Finds a server that holds keys and whose Lua was not fixed. It needs the right to EVAL.
 *
 * @returns undefined if there is none
 * @throws RedisProblem when one of the servers is not known or connected
 */
export async function findLuaProblem(client: RedisClient): Promise<LuaProblem | undefined> {
  const masters = await knownMasters(client);
  const replies = await Promise.all(masters.map((master) => master.eval(script, 0)));
  return replies.includes(1) ? problem : undefined;
}
