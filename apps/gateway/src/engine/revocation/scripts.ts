/**
 * Makes the keys in Redis. All have one hash tag, so that a cluster has them on one node and a script may use them together.
 * `revision` is a text that changes with every change of the list. `list` is a hash, see `redis-list.ts`. `replicas` is a hash of
 * when each replica last reported, and which list it has merged. `ended` is a hash of ended sessions, and `ended-newest` is the
 * last one that was put there, see `ended-sessions.ts`.
 */
export function revocationKeys(keyPrefix: string) {
  const key = (name: string) => `${keyPrefix}{revocations}:${name}`;
  return {
    revision: key('revision'),
    list: key('list'),
    replicas: key('replicas'),
    ended: key('ended'),
    endedNewest: key('ended-newest'),
  };
}

/**
 * The maximum size of a hash that is read, in bytes: more than 10,000 entries under eight sealing keys have, and less than the
 * longest reply that a connection accepts (64 MiB).
 */
const maxBytes = 48 * 1024 * 1024;

/**
 * All scripts begin with this. Other clients may have written to these keys: a key of another type is removed, a revision that
 * is longer than ours counts as none, and a field that is too long to be ours is removed. A hash of far too many
 * fields, or of more bytes than `maxBytes`, is removed as a whole, since every replica has what belongs there. `own`
 * returns `empty` for a key of another type.
 */
const common = `
local clock = redis.call('TIME')
local ms = string.format('%.0f', clock[1] * 1000 + math.floor(clock[2] / 1000))
local foreign = 0
local function own(empty, command, key, ...)
  local reply = redis.pcall(command, key, ...)
  if type(reply) ~= 'table' or not reply.err then return reply end
  if not string.find(reply.err, 'WRONGTYPE', 1, true) then return redis.call(command, key, ...) end
  if redis.pcall('DEL', key) == 1 then foreign = foreign + 1 end
  return empty
end
local function revisionOf(key)
  local text = own('', 'GETRANGE', key, 0, 64)
  return #text <= 64 and text or ''
end
local function pairsOf(key, maxFields, maxLength)
  if own(0, 'HLEN', key) > maxFields then redis.pcall('DEL', key) return {} end
  local all, ours, bytes = own({}, 'HGETALL', key), {}, 0
  for i = 1, #all, 2 do
    if #all[i] <= 320 and #all[i + 1] <= maxLength then
      bytes = bytes + #all[i] + #all[i + 1]
      if bytes > ${maxBytes} then redis.pcall('DEL', key) return {} end
      ours[#ours + 1] = all[i]
      ours[#ours + 1] = all[i + 1]
    else
      redis.pcall('HDEL', key, all[i])
    end
  end
  return ours
end`;

/**
 * Makes a script that may write when the memory of Redis is full (Redis 7, Valkey:
 * https://redis.io/docs/latest/develop/programmability/lua-api/#script-flags). An older Redis can't compile it. The list is bounded, and
 * must be writable when others have filled Redis.
 */
export function allowAboveLimit(script: string): string {
  return `#!lua flags=allow-oom${script}`;
}

/**
 * Polls whether the list has changed. KEYS: revision, list, replicas. ARGV: the replica, and what it reports of itself. A Redis
 * that takes no writes is still read. A replica that was not noted before reports nothing the first time: it confirms
 * nothing before it has written back the notes of others, which Redis may have lost too.
 *
 * @returns the revision or '', the number of fields, Redis' time in milliseconds, how many keys of another type were
 *   removed, 1 when the replica could not be noted because the memory is full, 1 when it was not noted before, and the
 *   number of replicas that are noted
 */
export const pollScript: string = `${common}
own(0, 'HLEN', KEYS[3])
local noted = redis.pcall('HSET', KEYS[3], ARGV[1], ms .. ' ' .. ARGV[2])
local isFull = type(noted) == 'table' and string.find(noted.err, 'OOM', 1, true)
if noted == 1 then redis.pcall('HSET', KEYS[3], ARGV[1], ms .. ' ') end
local revision, fields = revisionOf(KEYS[1]), own(0, 'HLEN', KEYS[2])
return {revision, fields, ms, foreign, isFull and 1 or 0, noted == 1 and 1 or 0, own(0, 'HLEN', KEYS[3])}`;

/**
 * Reads the list. KEYS: revision, list. Returns the revision or '', Redis' time in milliseconds, the list's fields and
 * values, and how many keys of another type were removed.
 */
export const readListScript: string = `${common}
return {revisionOf(KEYS[1]), ms, pairsOf(KEYS[2], 100000, 8192), foreign}`;

/**
 * Changes the list, unless someone else changed it since it was read. KEYS: revision, list. ARGV: the revision that was read or
 * '', the next one, the number of fields to remove, these, then fields and values to add. Returns 1, or if nothing was
 * changed, how many keys of another type were removed, as a negative number.
 *
 * Redis keeps what a script did before one of its commands was refused, such as by the ACL. So the first two writes change nothing, and
 * find a missing right before an entry is there that the command says it did not write: SET is before HDEL, which a full memory does not
 * refuse, and which lets what follows it write. New entries are the next: what they supersede is not lost, and no revision says that an
 * empty list is whole.
 */
export const changeListScript: string = `${common}
own(0, 'HLEN', KEYS[2])
if revisionOf(KEYS[1]) ~= ARGV[1] or foreign > 0 then return -foreign end
redis.call('SET', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[2], '')
local gone = 3 + tonumber(ARGV[3])
for i = gone + 1, #ARGV, 2 do redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1]) end
redis.call('SET', KEYS[1], ARGV[2])
for i = 4, gone do redis.call('HDEL', KEYS[2], ARGV[i]) end
return 1`;

/**
 * Reads the replicas. KEYS: revision, replicas. Returns the revision or '', Redis' time in milliseconds, the hash of the
 * replicas, and how many keys of another type were removed.
 */
export const readReplicasScript: string = `${common}
return {revisionOf(KEYS[1]), ms, pairsOf(KEYS[2], 10000, 1024), foreign}`;

/** The maximum number of ended sessions in Redis. The oldest are removed: a user can end as many sessions as they begin. */
export const maxEndedShared = 1_000;

/**
 * Adds ended sessions, and returns those that the replica does not know. KEYS: the newest, and a hash of the position of each.
 * ARGV: the newest that the replica knows or '', the time to live in milliseconds, and the sessions to add, which may be
 * there already. While nothing has ended, it reads only the newest. A Redis that takes no writes is still read.
 *
 * The newest is set first: if the other write fails, replicas read the hash once too often, and miss nothing. Positions
 * above 9e14 were not written by us: with greater numbers, a position and the next one would soon be equal.
 *
 * @returns the newest, the sessions, and whether they were `written`, or the memory is `full`, or the write `failed`
 */
export const endedScript: string = `${common}
local newest = own('', 'GETRANGE', KEYS[1], 0, 127)
if newest == ARGV[1] and #ARGV == 2 then return {newest, {}, 'written'} end
local all, positions, highest = pairsOf(KEYS[2], 2000, 15), {}, 0
for i = 1, #all, 2 do
  positions[all[i]] = tonumber(all[i + 1]) or 0
  highest = math.max(highest, positions[all[i]])
end
if highest > 9e14 then
  redis.pcall('DEL', KEYS[2])
  positions, highest = {}, 0
end
local known, found, old, added, state = positions[ARGV[1]] or 0, {}, {}, {}, 'written'
for member, position in pairs(positions) do
  if position > known and #member <= 128 then found[#found + 1] = member end
end
for i = 3, #ARGV do
  if not positions[ARGV[i]] then
    highest = highest + 1
    positions[ARGV[i]] = highest
    added[#added + 1] = ARGV[i]
    added[#added + 1] = string.format('%.0f', highest)
  end
end
if #added == 0 then return {newest, found, state} end
for member, position in pairs(positions) do
  if position <= highest - ${maxEndedShared} then old[#old + 1] = member end
end
local done = redis.pcall('SET', KEYS[1], added[#added - 1], 'PX', ARGV[2])
if not done.err then done = redis.pcall('HSET', KEYS[2], unpack(added)) end
if type(done) == 'table' and done.err then
  state = string.find(done.err, 'OOM', 1, true) and 'full' or 'failed'
  return {newest, found, state}
end
redis.pcall('PEXPIRE', KEYS[2], ARGV[2])
for i = 1, #old do redis.pcall('HDEL', KEYS[2], old[i]) end
return {added[#added - 1], found, state}`;

/**
 * Adds notes of replicas that are not there. KEYS: replicas. ARGV: replicas and their notes in turn. Returns how many keys of
 * another type were removed.
 */
export const writeBackScript: string = `${common}
local noted, all = {}, pairsOf(KEYS[1], 10000, 1024)
for i = 1, #all, 2 do noted[all[i]] = true end
for i = 1, #ARGV, 2 do
  if not noted[ARGV[i]] then redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
end
return foreign`;
