/**
 * Makes a hash and its time to live at once, unless the key is there. ARGV: milliseconds or '', then fields and values.
 * PEXPIRE comes twice: whoever may not use it fails at the first, which changes nothing, and leaves nothing behind.
 */
export const createHash = `
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
if ARGV[1] ~= '' then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
if ARGV[1] ~= '' then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return 1`;

/**
 * Puts a string in the place of the one that was read, which must be there still, with the same end. It reads one byte
 * more than that has: a longer one is another one.
 */
export const replaceString = `
if redis.call('GETRANGE', KEYS[1], 0, #ARGV[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'KEEPTTL')
return 1`;

/** Puts fields into a hash that must be there still, and must not be revoked by then. */
export const revokeHash = `
if redis.call('EXISTS', KEYS[1]) == 0 or redis.call('HEXISTS', KEYS[1], 'revokedAt') == 1 then return 0 end
redis.call('HSET', KEYS[1], unpack(ARGV))
return 1`;
