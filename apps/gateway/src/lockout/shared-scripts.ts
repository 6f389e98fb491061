/*
 * What all replicas know of the tries of one subject is a hash:
 *
 *   try:<id>         <state> <time> <secret>   state: pending, refused or abandoned
 *   known:<secret>   <time>                    when it was last right
 *
 * Times are Redis' own milliseconds, so that the clocks of replicas don't matter. Secrets are keyed digests.
 *
 * KEYS[1]  the hash
 * ARGV[1]  id of the try
 * ARGV[2]  milliseconds that a refused try counts
 * ARGV[3]  milliseconds after which a pending try is taken for refused
 * ARGV[4]  milliseconds that a right secret is known after it was last right
 * ARGV[5], ARGV[6]  of each script
 * ARGV[7]  digest of the secret under the key to write with, then those under other keys, which may have written before
 */
const present = `
local key, id = KEYS[1], ARGV[1]
local window, abandonedAfter, knownFor = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local secret, mine = ARGV[7], {}
for index = 7, #ARGV do mine[ARGV[index]] = true end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local tries, known = {}, {}
local fields = redis.call('HGETALL', key)
for index = 1, #fields, 2 do
  local kind, name = string.match(fields[index], '^(%a+):(.+)$')
  if kind == 'known' then
    known[name] = tonumber(fields[index + 1]) or 0
  elseif kind == 'try' then
    local state, time, digest = string.match(fields[index + 1], '^(%a+) (%d+) (.+)$')
    if state then tries[name] = { state = state, time = tonumber(time), secret = digest } end
  end
end

local function forget(digest)
  known[digest] = nil
  redis.call('HDEL', key, 'known:' .. digest)
end
local function note(name, one)
  redis.call('HSET', key, 'try:' .. name, one.state .. ' ' .. string.format('%.0f', one.time) .. ' ' .. one.secret)
end
local function keep()
  redis.call('PEXPIRE', key, math.max(window + abandonedAfter, next(known) and knownFor or 0))
end

for name, one in pairs(tries) do
  -- A clock that was ahead, or somebody else, wrote what lies in the future: it counts from now on, and no longer.
  if one.time > now then
    one.time = now
    note(name, one)
  end
  if one.state == 'pending' and one.time + abandonedAfter <= now then
    one.state, one.time = 'abandoned', one.time + abandonedAfter
    forget(one.secret)
    note(name, one)
  end
  if one.state ~= 'pending' and one.time + window <= now then
    tries[name] = nil
    redis.call('HDEL', key, 'try:' .. name)
  end
end
for digest, time in pairs(known) do
  if time + knownFor <= now then forget(digest) end
end
`;

/**
 * Judges a try as the local guard does, and takes a place for it if it may go out.
 *
 * ARGV[5]  places: refused tries that are allowed in the window. 0: it goes out only if its secret is known to be right
 * ARGV[6]  1 when the replica knows the secret to be right, else 0. It may know better: Redis loses what it had in
 *          failovers. Of a try that was abandoned since the replica can't know, so then its word does not count
 */
export const admitScript: string = `${present}
local places, isKnown = tonumber(ARGV[5]), ARGV[6] == '1'
local taken, failures, isUnderWay = 0, 0, false
for _, one in pairs(tries) do
  taken = taken + 1
  if one.state == 'pending' then
    isUnderWay = isUnderWay or mine[one.secret]
  else
    failures = failures + 1
    if mine[one.secret] then
      if one.state == 'refused' then return 'invalid-credentials' end
      isKnown = false
    end
  end
end
for digest in pairs(mine) do isKnown = isKnown or known[digest] end

if taken >= places then
  if not isKnown then return failures < places and 'wait' or 'throttled' end
  if isUnderWay then return 'wait' end
end
note(id, { state = 'pending', time = now, secret = secret })
keep()
return 'admit'
`;

/**
 * Gives the place back, or counts it. Of a try that Redis has lost or was never asked about it takes the word.
 *
 * ARGV[5]  accepted, refused or unavailable
 * ARGV[6]  how many right secrets are known of a subject: one more, and the one that was right longest ago is forgotten
 */
export const settleScript: string = `${present}
local outcome = ARGV[5]
if outcome ~= 'unavailable' then
  for digest in pairs(mine) do forget(digest) end
end
if outcome == 'refused' then
  note(id, { state = 'refused', time = now, secret = secret })
else
  redis.call('HDEL', key, 'try:' .. id)
end
if outcome == 'accepted' then
  local count, oldest = 1, nil
  for digest, time in pairs(known) do
    count = count + 1
    if not oldest or time < known[oldest] then oldest = digest end
  end
  if count > tonumber(ARGV[6]) then forget(oldest) end
  known[secret] = now
  redis.call('HSET', key, 'known:' .. secret, now)
end
keep()
return 'settled'
`;
