/*
 * The gateway decides by the hash of a subject (see `shared-records.ts`), since only the gateway can check who wrote its
 * records. The scripts do only what must be atomic.
 */

/** Keeps the hash for at least `min` milliseconds from now. Another client may have set an expiry after `max`, or none. */
const keep = `
local function keep(min, max)
  local left = redis.call('PTTL', KEYS[1])
  if left < min or left > max then redis.call('PEXPIRE', KEYS[1], min) end
end`;

/**
 * Takes a slot for an attempt, and reads all other fields in the same step. Other replicas can't take a slot in between, so an
 * attempt that finds too many others gives its own slot back.
 *
 * Someone else may have written to this key. A key of another type, or with far too many fields, is removed as a whole; a
 * field that is too long to be ours is removed, and never sent to the gateway.
 *
 * KEYS[1]  the hash
 * ARGV[1], ARGV[2]  the field of the attempt, and its value
 * ARGV[3]  how many other attempts there may be for it to take a slot, foreign ones included: attempts that wait for a slot
 *          must not block each other. `any`: it takes one in any case
 * ARGV[4], ARGV[5]  minimum and maximum of the hash's time to live, in milliseconds
 * ARGV[6]  how many fields it may have
 * ARGV[7]  ARGV[3] while an attempt with the same secret is in progress
 * ARGV[8]… the secret, as records have it. With a record that it is right, the attempt needs no free slot, unless one with the
 *          same secret is in progress
 *
 * @returns 1 when the attempt has a slot, Redis' time in milliseconds, how many keys and fields were removed, and the other
 *   fields and their values
 */
export const takeSlotScript = `${keep}
local key, field = KEYS[1], ARGV[1]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local removed = 0
local size = redis.pcall('HLEN', key)
local isOther = type(size) == 'table' and string.find(size.err, 'WRONGTYPE', 1, true)
if isOther or type(size) == 'number' and size > tonumber(ARGV[6]) then
  redis.call('DEL', key)
  removed = 1
end

local marks, isKnown, isDouble, attempts, others = {}, false, false, 0, {}
for index = 8, #ARGV do marks['known:' .. ARGV[index]] = true end
local all = redis.call('HGETALL', key)
for index = 1, #all, 2 do
  local name, value = all[index], all[index + 1]
  if #name > 64 or #value > 160 then
    redis.call('HDEL', key, name)
    removed = removed + 1
  elseif name ~= field then
    others[#others + 1] = name
    others[#others + 1] = value
    isKnown = isKnown or marks[name]
    if string.sub(name, 1, 4) == 'try:' then
      attempts = attempts + 1
      local secret = string.match(value, '^pending %d+ (%S+) ')
      isDouble = isDouble or secret and marks['known:' .. secret]
    end
  end
end

local hasSlot = 0
local slots = isDouble and ARGV[7] or ARGV[3]
if slots == 'any' then
  redis.call('HSET', key, field, ARGV[2])
  hasSlot = 1
elseif isKnown and not isDouble or attempts < tonumber(slots) then
  -- A Redis that takes no writes can still be read.
  local reply = redis.pcall('HSET', key, field, ARGV[2])
  if type(reply) == 'number' then hasSlot = 1 end
end
if hasSlot == 1 then keep(tonumber(ARGV[4]), tonumber(ARGV[5])) end
return { hasSlot, now, removed, others }
`;

/**
 * Changes a hash.
 *
 * KEYS[1]  the hash
 * ARGV[1], ARGV[2]  minimum and maximum of its time to live, in milliseconds
 * ARGV[3]  how many fields are removed
 * ARGV[4]… these fields, then fields and values that are set
 */
export const changeHashScript = `${keep}
local last = 3 + tonumber(ARGV[3])
for index = 4, last do redis.call('HDEL', KEYS[1], ARGV[index]) end
for index = last + 1, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[index], ARGV[index + 1]) end
keep(tonumber(ARGV[1]), tonumber(ARGV[2]))
return 'changed'
`;

/** Reads a hash. KEYS[1]: the hash. Returns Redis' time in milliseconds, and fields and values in turn. */
export const readHashScript = `
local clock = redis.call('TIME')
return {string.format('%.0f', clock[1] * 1000 + math.floor(clock[2] / 1000)), redis.call('HGETALL', KEYS[1])}`;
